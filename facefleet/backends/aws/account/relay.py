"""What a relay needs on an account, planned and removed as all else is: queues, and a bucket that tells one of them."""

from collections.abc import Iterator

from botocore.exceptions import ClientError

from facefleet.backends.aws.account.queues import RedrivenQueue
from facefleet.backends.aws.account.resources import Resource, Step, Verb, step
from facefleet.backends.aws.account.telling import Notification, ToldQueue
from facefleet.backends.aws.account.wanted import RELAY_SETUP, relay_queues
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.faults import DENIED, MEANINGS, code_of, translated
from facefleet.errors import NotFound
from facefleet.findings import Finding, ok, wrong
from facefleet.settings import Settings


def plan(clients: Clients, settings: Settings) -> tuple[Step, ...]:
    """What is to be done, in order; changes nothing. Raises `BadSettings` where the bucket tells somebody else."""
    found = resources(clients, settings)
    for one in found:
        if isinstance(one, Notification):
            one.check()
    return tuple(step(one, one.found()) for one in found)


def removal(clients: Clients, settings: Settings) -> tuple[Step, ...]:
    """What is to be removed of what is there: first the notification, or S3 would tell a queue that is gone."""
    standing = [one for one in reversed(resources(clients, settings)) if one.found() is not None]
    return tuple(
        Step(one.what, Verb.REMOVE, {}, None, one.remove)
        if one.was_made_by_setup()
        else Step(one.what, Verb.LEAVE, {}, {})
        for one in standing
    )


def resources(clients: Clients, settings: Settings) -> tuple[Resource, ...]:
    """In the order in which they can be made: S3 looks whether it may send before it agrees to tell."""
    arrivals = settings.relay_input.rpartition("/")[2]
    queues: list[Resource] = [
        ToldQueue(clients.sqs, wanted, settings.input_bucket)
        if wanted.name == arrivals
        else RedrivenQueue(clients.sqs, wanted, maker=RELAY_SETUP)
        for wanted in relay_queues(settings)
    ]
    return (*queues, Notification(clients.s3, clients.sqs, settings.input_bucket, arrivals))


def dead_letters(clients: Clients, settings: Settings) -> Iterator[Finding]:
    """Whether what the relay gives up has somewhere to lie; nothing where no queue is told of objects."""
    queue = settings.relay_input.rpartition("/")[2]
    if not _is_there(clients, queue):
        return
    dead = f"{queue}-dead"
    if _is_there(clients, dead):
        yield ok("relay", f"{queue} is there, and {dead} for what is given up")
    else:
        yield wrong("relay", f"there is no {dead}, where what it gives up is to lie: facefleet relay setup")


def _is_there(clients: Clients, queue: str) -> bool:
    """Nor is one for who may not see it: that is no relay."""
    with translated(f"looking for the queue {queue}"):
        try:
            clients.sqs.get_queue_url(QueueName=queue)
        except ClientError as e:
            if code_of(e) in DENIED | MEANINGS[NotFound]:
                return False
            raise
    return True

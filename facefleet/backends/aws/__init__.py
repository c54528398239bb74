"""An account of AWS: SQS, S3, DynamoDB and EC2. `facefleet setup` makes what is used here."""

from collections.abc import Callable
from contextlib import ExitStack

from facefleet.backends.aws.blobs import S3Blobs
from facefleet.backends.aws.clients import Clients, connect_clients
from facefleet.backends.aws.fleet import Ec2Fleet
from facefleet.backends.aws.group import GroupFleet
from facefleet.backends.aws.machine import Ec2Machine
from facefleet.backends.aws.people import DynamoPeople
from facefleet.backends.aws.queue import SqsQueue
from facefleet.backends.aws.replies import ReplyQueues
from facefleet.errors import NotFound, Unavailable
from facefleet.lock import only_one
from facefleet.ports import Backend
from facefleet.settings import Settings

#: Whoever settles a dead letter takes a moment, and may be killed meanwhile.
DEAD_VISIBILITY_TIMEOUT = 30.0


def connect(settings: Settings) -> Backend:
    """Opens what is there; raises `Unavailable` where it is not, or AWS does not answer."""
    clients = connect_clients()
    try:
        requests = SqsQueue(clients.sqs, settings.request_queue, visibility_timeout=settings.visibility_timeout)
        dead = SqsQueue(clients.sqs, dead_letters_of(settings), visibility_timeout=DEAD_VISIBILITY_TIMEOUT)
    except NotFound as e:
        raise Unavailable(f"{e}: `facefleet setup` makes it") from e
    replies = ReplyQueues(clients.sqs, settings.response_queue)
    blobs = S3Blobs(clients.s3, {"in": settings.input_bucket, "out": settings.output_bucket}, settings.state_bucket)
    people = DynamoPeople(clients.dynamodb, settings.people_table)
    fleet = fleet_of(clients, settings)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Backend(
        requests=requests,
        dead=dead,
        blobs=blobs,
        people=people,
        fleet=fleet,
        machine=Ec2Machine(),
        open_replies=replies.own,
        replies=replies.existing,
        tidy=all_of(replies.tidy, people.tidy, fleet.tidy),
        # On one host; a lease in the ledger sees to it that there is one of all hosts.
        only_one=lambda what: only_one(settings.data / f"{what}.lock", what),
    )


def dead_letters_of(settings: Settings) -> str:
    return f"{settings.request_queue}-dead"


def fleet_of(clients: Clients, settings: Settings) -> "Ec2Fleet | GroupFleet":
    if settings.auto_scaling_group:
        return GroupFleet(clients.autoscaling, clients.ec2, settings)
    return Ec2Fleet(clients.ec2, settings)


def all_of(*parts: Callable[[], None]) -> Callable[[], None]:
    """Each of them, whichever fails."""

    def run() -> None:
        with ExitStack() as stack:
            for part in parts:
                stack.callback(part)

    return run

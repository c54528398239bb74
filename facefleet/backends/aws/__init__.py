"""An account of AWS: SQS, S3, DynamoDB and EC2. `facefleet setup` makes what is used here."""

from collections.abc import Callable
from contextlib import ExitStack

from facefleet.backends.aws.blobs import S3Blobs
from facefleet.backends.aws.clients import CONNECTIONS, Clients, Lanes, connect_all, connect_clients
from facefleet.backends.aws.fleet import Ec2Fleet
from facefleet.backends.aws.group import GroupFleet
from facefleet.backends.aws.people import DynamoPeople
from facefleet.backends.aws.queue import DeadLetters, SqsQueue
from facefleet.errors import NotFound, Unavailable
from facefleet.lock import only_one
from facefleet.ports import Backend
from facefleet.settings import Settings

#: Whoever settles a dead letter takes a moment, and may be killed meanwhile.
DEAD_VISIBILITY_TIMEOUT = 30.0


def connect(settings: Settings) -> Backend:
    """Opens what is there; raises `Unavailable` where it is not, or AWS does not answer."""
    # Here, since a function, which has neither, comes by this file too: `requests` alone takes 25 ms to import.
    from facefleet.backends.aws.machine import Ec2Machine
    from facefleet.backends.aws.replies import ReplyQueues

    # So that uploads, each in a thread of its own, find a connection that is open already.
    clients, lanes = connect_all(connections=max(CONNECTIONS, settings.max_uploads))
    requests, dead = queues_of(lanes, settings)
    replies = ReplyQueues(lanes.send, settings.response_queue, lanes=lanes)
    blobs = S3Blobs.of(settings, clients.s3, signer=clients.signer)
    people = DynamoPeople(clients.dynamodb, settings.people_table)
    fleet = fleet_of(clients, settings)
    # A site whose clouds are others has no EC2 to tidy, and perhaps none that would answer.
    tidy_fleet = [fleet.tidy] if "ec2" in (settings.clouds or ("ec2",)) else []
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
        tidy=all_of(replies.tidy, people.tidy, *tidy_fleet),
        # On one host; a lease in the ledger sees to it that there is one of all hosts.
        only_one=lambda what: only_one(settings.data / f"{what}.lock", what),
        presign=blobs.presigned,
    )


def connect_people(settings: Settings) -> DynamoPeople:
    """People alone, in their two tables; raises `Unavailable` where they are not."""
    people = DynamoPeople(connect_clients().dynamodb, settings.people_table)
    people.version()
    return people


def queues_of(lanes: Lanes, settings: Settings) -> tuple[SqsQueue, DeadLetters]:
    name, dead, timeout = settings.request_queue, dead_letters_of(settings), settings.visibility_timeout
    try:
        return (
            SqsQueue(lanes.send, name, visibility_timeout=timeout, lanes=lanes),
            DeadLetters(lanes.send, dead, visibility_timeout=DEAD_VISIBILITY_TIMEOUT, lanes=lanes),
        )
    except NotFound as e:
        raise Unavailable(f"{e}: `facefleet setup` makes it") from e


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

"""boto3's clients, all with the same patience. Region, credentials and endpoints come from boto3's own settings."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from facefleet import __version__
from facefleet.errors import BadSettings
from facefleet.ports import MAX_WAIT

CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 10.0
#: Tries of one call, the first included; botocore waits between them, with jitter, and slows down when throttled.
#: https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html#adaptive-retry-mode
TRIES = 4
#: EC2 answers a lack of instances as a fault of its own, 500, which botocore tries again; the controller, who asks
#: elsewhere then, waits for that meanwhile.
EC2_TRIES = 2
#: Kept open for each client. More calls at the same time make connections of their own, each for its call alone.
CONNECTIONS = 64


#: Or boto3 would sign URLs as S3 did before 2014, for its oldest region's address, whatever is sent there.
SIGNED = Config(signature_version="s3v4")
#: And for an address that knows a new bucket of another region hours later: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html
REGIONAL = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})


class Later:
    """A client that is made when it is first used: workers and the web tier never ask EC2.

    EC2's and Auto Scaling's, whose models are large, together cost 0.07 s of a process's start.
    """

    def __init__(self, make: Callable[[], Any], lock: threading.Lock) -> None:
        """`lock`: of the session, which no two threads may use at a time."""
        self._make, self._lock = make, lock

    def __getattr__(self, name: str) -> Any:
        # Asked for only what is not here: from the first time on, the client's own.
        with self._lock:
            if "_client" not in self.__dict__:
                try:
                    self._client = self._make()
                except BotoCoreError as e:
                    raise BadSettings(f"boto3's settings cannot be used: {e}") from e
        return getattr(self._client, name)


@dataclass(frozen=True, slots=True)
class Clients:
    """One for each service; threads may share them."""

    sqs: Any
    s3: Any
    dynamodb: Any
    ec2: Any
    autoscaling: Any
    #: S3's, for URLs that others use.
    signer: Any = None


@dataclass(frozen=True, slots=True)
class Lanes:
    """SQS, by a client for each kind of call: a client that is throttled slows all its calls down.

    What a burst of sends, or of receives, meets must not keep a lease from being extended.
    """

    send: Any
    receive: Any
    lease: Any


def connect_clients() -> Clients:
    """Makes no call; raises `BadSettings` where boto3 has no region, or cannot read its settings."""
    return connect_all()[0]


def connect_all(*, connections: int = CONNECTIONS) -> tuple[Clients, Lanes]:
    """As `connect_clients`; the first lane is its client of SQS. `connections`: kept open for each."""
    try:
        session = boto3.session.Session()
        if session.region_name is None:
            raise BadSettings("AWS needs a region: set AWS_DEFAULT_REGION, as AWS_DEFAULT_REGION=us-east-1")
        lock = threading.Lock()
        clients = Clients(
            sqs=session.client("sqs", config=config_of(connections)),
            s3=session.client("s3", config=config_of(connections).merge(SIGNED)),
            signer=Later(lambda: session.client("s3", config=config_of(connections).merge(REGIONAL)), lock),
            dynamodb=session.client("dynamodb", config=config_of(connections)),
            ec2=Later(lambda: session.client("ec2", config=config_of(connections, tries=EC2_TRIES)), lock),
            autoscaling=Later(lambda: session.client("autoscaling", config=config_of(connections)), lock),
        )
        # A long poll is answered later than anything else.
        receive = session.client("sqs", config=config_of(connections, read_timeout=MAX_WAIT + READ_TIMEOUT))
        return clients, Lanes(clients.sqs, receive, session.client("sqs", config=config_of(connections)))
    except BotoCoreError as e:
        raise BadSettings(f"boto3's settings cannot be used: {e}") from e


def config_of(connections: int, *, read_timeout: float = READ_TIMEOUT, tries: int = TRIES) -> Config:
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        retries={"mode": "adaptive", "total_max_attempts": tries},
        max_pool_connections=connections,
        tcp_keepalive=True,
        user_agent_extra=f"facefleet/{__version__}",
    )

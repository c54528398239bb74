"""boto3's clients, all with the same patience. Region, credentials and endpoints come from boto3's own settings."""

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
#: Uploads that send at the same time; more wait for a connection.
CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Clients:
    """One for each service; threads may share them."""

    sqs: Any
    s3: Any
    dynamodb: Any
    ec2: Any
    autoscaling: Any


def connect_clients() -> Clients:
    """Makes no call; raises `BadSettings` where boto3 has no region, or cannot read its settings."""
    try:
        session = boto3.session.Session()
        if session.region_name is None:
            raise BadSettings("AWS needs a region: set AWS_DEFAULT_REGION, as AWS_DEFAULT_REGION=us-east-1")
        return Clients(
            # A long poll is answered later than anything else.
            sqs=session.client("sqs", config=_config(read_timeout=MAX_WAIT + READ_TIMEOUT)),
            s3=session.client("s3", config=_config()),
            dynamodb=session.client("dynamodb", config=_config()),
            ec2=session.client("ec2", config=_config()),
            autoscaling=session.client("autoscaling", config=_config()),
        )
    except BotoCoreError as e:
        raise BadSettings(f"boto3's settings cannot be used: {e}") from e


def _config(*, read_timeout: float = READ_TIMEOUT) -> Config:
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        retries={"mode": "adaptive", "total_max_attempts": TRIES},
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
        user_agent_extra=f"facefleet/{__version__}",
    )

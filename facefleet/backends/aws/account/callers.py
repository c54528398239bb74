"""boto3's clients for what stands on the account: as patient as the others, and each made when it is asked for."""

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from facefleet.backends.aws.clients import CONNECT_TIMEOUT, READ_TIMEOUT, TRIES
from facefleet.errors import BadSettings


def caller_of(service: str) -> Any:
    """Makes no call; raises `BadSettings` where boto3's settings cannot be used."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=3 * READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    try:
        return boto3.session.Session().client(service, config=config)
    except BotoCoreError as e:
        raise BadSettings(f"boto3's settings cannot be used: {e}") from e

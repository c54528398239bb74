"""Whose account it is that boto3's settings lead to."""

import boto3
from botocore.config import Config

from facefleet.backends.aws.clients import CONNECT_TIMEOUT, READ_TIMEOUT, TRIES
from facefleet.backends.aws.faults import translated


def account_id() -> str:
    """Its twelve digits. Everybody may ask for their own."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    with translated("asking whose account this is"):
        return str(boto3.session.Session().client("sts", config=config).get_caller_identity()["Account"])

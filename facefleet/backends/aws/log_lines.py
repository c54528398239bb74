"""Lines out of a log group of CloudWatch."""

from collections.abc import Iterator

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from facefleet.backends.aws.faults import translated
from facefleet.errors import BadSettings

CONNECT_TIMEOUT, READ_TIMEOUT, TRIES = 3.0, 20.0, 4


def lines(group: str, since: float, *, term: str) -> Iterator[str]:
    """All since then, seconds of the epoch, that hold this word, as they came; a line may be of any form.

    Raises `NotFound` where there is no such group, and `Unavailable`.
    """
    patience = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "adaptive", "total_max_attempts": TRIES},
    )
    try:
        logs = boto3.session.Session().client("logs", config=patience)
    except BotoCoreError as e:
        raise BadSettings(f"boto3's settings cannot be used: {e}") from e
    with translated(f"reading the log group {group}"):
        # Milliseconds, as CloudWatch has it.
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=int(since * 1000), filterPattern=f'"{term}"'
        )
        for page in pages:
            for event in page["events"]:
                yield event["message"]

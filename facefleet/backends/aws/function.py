"""What a function needs of an account: fewer clients than a fleet, some of them only once an event asks for them."""

import threading
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from facefleet.backends.aws.blobs import S3Blobs, asking
from facefleet.backends.aws.clients import REGIONAL, SIGNED, Lanes, Later, config_of
from facefleet.backends.aws.faults import code_of
from facefleet.backends.aws.people import DynamoPeople
from facefleet.backends.aws.queue import SqsQueue
from facefleet.backends.aws.s3_keys import Area
from facefleet.clipfile import HEAD
from facefleet.errors import BadSettings, TooLarge
from facefleet.settings import Settings

#: One call at a time, and some puts that go together.
CONNECTIONS = 10
VISIBILITY_TIMEOUT = 30.0
#: What S3 says where a range begins behind an object's end, as any range of an empty one does.
EMPTY = frozenset({"416", "InvalidRange"})


@dataclass(frozen=True)
class Account:
    """Connected; no call was made yet."""

    blobs: S3Blobs
    people: DynamoPeople
    objects: "S3Objects"
    #: boto3's own, for the libraries that want it so.
    dynamodb: Any
    secrets: Any
    _sqs: Any

    def queue(self, where: str) -> SqsQueue:
        """By its name or its address; raises `NotFound` where there is none of that name."""
        name, url = (where.rpartition("/")[2], where) if where.startswith("http") else (where, None)
        lanes = Lanes(self._sqs, self._sqs, self._sqs)
        return SqsQueue(self._sqs, name, visibility_timeout=VISIBILITY_TIMEOUT, lanes=lanes, url=url)


def connect(settings: Settings) -> Account:
    """Makes no call; raises `BadSettings` where boto3 has no region, or cannot read its settings."""
    try:
        session = boto3.session.Session()
        if session.region_name is None:
            raise BadSettings("AWS needs a region: set AWS_DEFAULT_REGION, as AWS_DEFAULT_REGION=us-east-1")
        config = config_of(CONNECTIONS)
        s3 = session.client("s3", config=config.merge(SIGNED))
        dynamodb = session.client("dynamodb", config=config)
    except BotoCoreError as e:
        raise BadSettings(f"boto3's settings cannot be used: {e}") from e
    lock = threading.Lock()
    return Account(
        blobs=S3Blobs.of(settings, s3, signer=Later(lambda: session.client("s3", config=config.merge(REGIONAL)), lock)),
        people=DynamoPeople(dynamodb, settings.people_table),
        objects=S3Objects(s3, settings.input_bucket),
        dynamodb=dynamodb,
        secrets=Later(lambda: session.client("secretsmanager", config=config), lock),
        _sqs=Later(lambda: session.client("sqs", config=config), lock),
    )


class S3Objects:
    """Objects as events tell of them, whoever put them there."""

    def __init__(self, s3: Any, input_bucket: str) -> None:
        self._s3 = s3
        self._input = input_bucket

    def get(self, bucket: str, key: str, *, version: str | None, most: int) -> bytes:
        """Raises `NotFound`, or `TooLarge` before it is read."""
        which = {} if version is None else {"VersionId": version}
        with asking("reading what came into a bucket"):
            found = self._s3.get_object(Bucket=bucket, Key=key, **which)
            if (size := found["ContentLength"]) > most:
                found["Body"].close()
                raise TooLarge(f"{size / 1e6:.1f} MB, the limit is {most / 1e6:g}: send a smaller file")
            data: bytes = found["Body"].read()
            return data

    def head(self, bucket: str, key: str, *, version: str | None) -> tuple[bytes, int]:
        """Its first bytes, as many as tell a clip, and its size; raises `NotFound`."""
        which = {} if version is None else {"VersionId": version}
        with asking("looking at what came into a bucket"):
            try:
                found = self._s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{HEAD - 1}", **which)
            except ClientError as e:
                if code_of(e) not in EMPTY:
                    raise
                return b"", 0
            size = int(found["ContentRange"].rpartition("/")[2])
            return found["Body"].read(HEAD), size

    def blob(self, bucket: str, key: str) -> str | None:
        """Which blob of ours an object is; None of one that lies elsewhere, or whose key we would write otherwise."""
        name = Area(self._input, "").name(key) if bucket == self._input else None
        return None if name is None else f"in/{name}"

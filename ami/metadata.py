"""What EC2 tells an instance about itself (IMDSv2), with nothing but what Python starts fast with.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

import os
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from facefleet.errors import Unavailable

ENDPOINT = "http://169.254.169.254"
#: Seconds. It answers in milliseconds, once there is a network; until then each try fails at once, or after these.
TIMEOUT = 1.0
#: Seconds until it is given up, and between two tries: nothing else waits for the network at boot.
PATIENCE, PAUSE = 60.0, 0.05
TOKEN_LIVES = 60
OK, NOT_FOUND = 200, 404


def user_data(*, patience: float = PATIENCE) -> bytes | None:
    """What the launch template has for this instance; None if it has nothing. Raises `Unavailable`."""
    return _asked("user-data", patience)


def instance_id(*, patience: float = PATIENCE) -> str:
    """Raises `Unavailable`."""
    told = _asked("meta-data/instance-id", patience)
    if told is None:
        raise Unavailable("the metadata service does not tell this instance's id: is this an instance of EC2?")
    return told.decode().strip()


def _asked(path: str, patience: float) -> bytes | None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return _once(path)
        except (OSError, HTTPException) as e:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"the metadata service did not tell {path} for {patience:.0f} s ({e}): does the instance have a "
                    "network, and its metadata service enabled?"
                ) from e
            time.sleep(PAUSE)


def _once(path: str) -> bytes | None:
    where = urlsplit(os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", ENDPOINT))
    connection = HTTPConnection(where.hostname or "", where.port or 80, timeout=TIMEOUT)
    try:
        lives = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_LIVES)}
        token = _answer(connection, "PUT", f"{where.path}/latest/api/token", lives) or b""
        return _answer(
            connection, "GET", f"{where.path}/latest/{path}", {"X-aws-ec2-metadata-token": token.decode("latin-1")}
        )
    finally:
        connection.close()


def _answer(connection: HTTPConnection, method: str, path: str, headers: Mapping[str, str]) -> bytes | None:
    connection.request(method, path, headers=dict(headers))
    answer = connection.getresponse()
    said = answer.read()
    if answer.status == NOT_FOUND and method == "GET":
        return None
    if answer.status != OK:
        raise HTTPException(f"{method} {path}: {answer.status}")
    return said

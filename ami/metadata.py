"""What a cloud tells an instance about itself, with nothing but what Python starts fast with.

EC2's way (IMDSv2) comes first: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
Nova's service has no tokens, which is how it is known: https://docs.openstack.org/nova/latest/user/metadata.html
EC2 is never asked without a token. Where Nova gives a config drive instead, cloud-init has read it.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from facefleet.errors import Unavailable

ENDPOINT = "http://169.254.169.254"
#: Seconds. It answers in milliseconds, once there is a network; until then each try fails at once, or after these.
TIMEOUT = 1.0
#: Seconds until it is given up, and between two tries: nothing else waits for the network at boot.
PATIENCE, PAUSE = 60.0, 0.05
TOKEN_LIVES = 60
OK, NOT_FOUND, NOT_ALLOWED = 200, 404, 405
USER_DATA = "user-data"
#: What Nova has, and how it is called there.
NOVAS = {USER_DATA: "user_data"}
#: What cloud-init read at this boot, and where it keeps what is for root alone:
#: https://docs.cloud-init.io/en/latest/explanation/instancedata.html
READ_AT_BOOT, INSTANCES = Path("/run/cloud-init/instance-data.json"), Path("/var/lib/cloud/instances")


@dataclass(frozen=True, slots=True)
class Told:
    """`data` is None if there is nothing; `is_novas`: a server of OpenStack was told, which has no role of its own."""

    data: bytes | None
    is_novas: bool = False


def user_data(*, patience: float = PATIENCE) -> Told:
    """What the launch template, or whoever made the server, has for this instance. Raises `Unavailable`."""
    return _asked(USER_DATA, patience)


def instance_id(*, patience: float = PATIENCE) -> str:
    """Raises `Unavailable`."""
    told = _asked("meta-data/instance-id", patience).data
    if told is None:
        raise Unavailable("the metadata service does not tell this instance's id: is this an instance of EC2?")
    return told.decode().strip()


def _asked(path: str, patience: float) -> Told:
    deadline = time.monotonic() + patience
    while True:
        try:
            return _once(path)
        except (OSError, HTTPException) as e:
            if path == USER_DATA and (drive := config_drive()) is not None:
                return drive
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"the metadata service did not tell {path} for {patience:.0f} s ({e}): does the instance have a "
                    "network, and its metadata service enabled?"
                ) from e
            time.sleep(PAUSE)


def _once(path: str) -> Told:
    where = urlsplit(os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", ENDPOINT))
    connection = HTTPConnection(where.hostname or "", where.port or 80, timeout=TIMEOUT)
    try:
        lives = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_LIVES)}
        token = _answer(connection, "PUT", f"{where.path}/latest/api/token", lives)
        if token is None:
            return _of_nova(connection, f"{where.path}/openstack/latest", path)
        valid = {"X-aws-ec2-metadata-token": token.decode("latin-1")}
        return Told(_answer(connection, "GET", f"{where.path}/latest/{path}", valid))
    finally:
        connection.close()


def _of_nova(connection: HTTPConnection, root: str, path: str) -> Told:
    # It says 404 of everything while it does not know the server's port yet.
    if _answer(connection, "GET", f"{root}/meta_data.json", {}) is None:
        raise HTTPException("the metadata service knows no tokens, and nothing of a server of OpenStack")
    return Told(_answer(connection, "GET", f"{root}/{NOVAS[path]}", {}) if path in NOVAS else None, is_novas=True)


def _answer(connection: HTTPConnection, method: str, path: str, headers: Mapping[str, str]) -> bytes | None:
    """None for what there is not."""
    connection.request(method, path, headers=dict(headers))
    answer = connection.getresponse()
    said = answer.read()
    if answer.status == NOT_FOUND or (answer.status == NOT_ALLOWED and method == "PUT"):
        return None
    if answer.status != OK:
        raise HTTPException(f"{method} {path}: {answer.status}")
    return said


def config_drive(read_at_boot: Path = READ_AT_BOOT, instances: Path = INSTANCES) -> Told | None:
    """User data of the drive that cloud-init found at this boot; None where it found none, or not yet."""
    try:
        told = json.loads(read_at_boot.read_bytes())["v1"]
        if told["platform"] != "configdrive":
            return None
        return Told((instances / told["instance_id"] / "user-data.txt").read_bytes(), is_novas=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None

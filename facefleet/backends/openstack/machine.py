"""The server of OpenStack that this process runs on, as Nova's metadata service or its config drive tells.

Nova speaks EC2's dialect, too, where a server is called `i-0000000a`, a name that its API does not know, and where
there are no tokens (IMDSv2): https://docs.openstack.org/nova/latest/user/metadata.html
"""

import json
import os
import time
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from facefleet.errors import Unavailable
from facefleet.ports import Machine

ENDPOINT = "http://169.254.169.254"
#: Boto3's own setting of another address, which every cloud has the same service at.
ELSEWHERE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
META_DATA = "/openstack/latest/meta_data.json"
#: A server tells of itself in thousands of bytes.
MOST_BYTES = 1_000_000
#: What its firmware calls a server, as cloud-init's ds-identify knows it:
#: https://docs.cloud-init.io/en/latest/reference/datasources/openstack.html
FIRMWARE, PRODUCTS = Path("/sys/class/dmi/id"), ("OpenStack Nova", "OpenStack Compute")
#: Whose metadata service is asked with a token or not at all.
EC2 = "Amazon EC2"
#: What cloud-init read at this boot, for everybody to see, and what it calls the two ways that Nova has:
#: https://docs.cloud-init.io/en/latest/explanation/instancedata.html
READ_AT_BOOT, PLATFORMS = Path("/run/cloud-init/instance-data.json"), ("openstack", "configdrive")
#: Seconds; it answers in milliseconds, and elsewhere nobody does.
TIMEOUT = 1.0
#: Tries for the server's id where nothing says that this is one.
TRIES = 3
#: Seconds that a server tries for its id, and between two tries: under a wrong name it would never be seen working.
PATIENCE, PAUSE = 60.0, 1.0


class NovaMachine:
    """A server that stays until it is stopped; on a machine that is none, `elsewhere`."""

    def __init__(self, elsewhere: Machine, *, firmware: Path = FIRMWARE, read_at_boot: Path = READ_AT_BOOT) -> None:
        self._elsewhere = elsewhere
        self._firmware, self._read_at_boot = firmware, read_at_boot

    def id(self) -> str:
        """As the port says: the server's UUID. On a server it raises `Unavailable` where that does not learn it."""
        return self._uuid or self._elsewhere.id()

    def notice(self) -> str | None:
        """Nova gives none: whoever stops a server presses its power button, which systemd heeds."""
        try:
            return None if self._uuid else self._elsewhere.notice()
        except Unavailable:
            # Asked again soon.
            return None

    @cached_property
    def _uuid(self) -> str | None:
        for _ in range(TRIES):
            with suppress(Unavailable):
                return self._told()
        return self._awaited() if is_server(self._firmware) else None

    def _awaited(self) -> str | None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(PAUSE)
            with suppress(Unavailable):
                return self._told()
        # Its service is started again, and asks again.
        raise Unavailable(
            f"this is a server of OpenStack, and neither its metadata service ({endpoint()}) nor a config drive told "
            f"its id for {PATIENCE:.0f} s: has its network a router or DHCP that leads there? Or name it: --instance"
        )

    def _told(self) -> str | None:
        """None where another cloud answers. Raises `Unavailable`."""
        if (read := _uuid_at_boot(self._read_at_boot)) is not None:
            return read
        told = _asked()
        if told is None and is_server(self._firmware):
            # So it says, too, of a port that is not known everywhere yet.
            raise Unavailable("the metadata service knows nothing of this server yet")
        return None if told is None else _uuid_of(told)


def machine_here(elsewhere: Machine, fleets: str, firmware: Path = FIRMWARE) -> Machine:
    """`elsewhere`, unless this may be a server: the firmware says so, or instances are had from OpenStack, too."""
    may_be = "openstack" in fleets and _said(firmware / "sys_vendor") != EC2
    return NovaMachine(elsewhere, firmware=firmware) if may_be or is_server(firmware) else elsewhere


def is_server(firmware: Path = FIRMWARE) -> bool:
    """Whether the firmware says that this is a server of OpenStack; in a container, that its host is one."""
    return _said(firmware / "product_name") in PRODUCTS


def _said(file: Path) -> str:
    """Empty where the firmware says nothing."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def endpoint() -> str:
    return os.environ.get(ELSEWHERE, ENDPOINT).rstrip("/")


def _asked() -> bytes | None:
    """None where something else than Nova answers, as EC2 does with 401. Raises `Unavailable`."""
    where = urlsplit(endpoint())
    # No proxy is asked: the address is this machine's own.
    connection = HTTPConnection(where.hostname or "", where.port or 80, timeout=TIMEOUT)
    try:
        connection.request("GET", f"{where.path}{META_DATA}")
        answer = connection.getresponse()
        said = answer.read(MOST_BYTES)
    except (OSError, HTTPException) as e:
        raise Unavailable(f"no metadata service answers at {endpoint()}: {e}") from e
    finally:
        connection.close()
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Unavailable(f"the metadata service refuses: {answer.status}")
    return said if answer.status == HTTPStatus.OK else None


def _uuid_of(told: bytes) -> str | None:
    try:
        return str(UUID(json.loads(told)["uuid"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _uuid_at_boot(file: Path) -> str | None:
    """What cloud-init found; None where it has not, or found another cloud's."""
    try:
        told = json.loads(file.read_bytes())["v1"]
        return str(UUID(told["instance_id"])) if told["platform"] in PLATFORMS else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None

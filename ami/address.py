"""`python -m ami.address`: this machine takes the Elastic IP of the web tier, once it can answer there.

Not from a younger instance that lives: of two, the newer one answers. Connections to the one before go on there.
"""

import http.client
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ami import metadata
from ami.settings import PORT
from ami.userdata import Address, UserData, read
from facefleet.entry import entry_point
from facefleet.errors import BadSettings, Unavailable
from facefleet.settings import Settings

log = logging.getLogger(__name__)

#: Seconds for the web tier and Caddy to answer, and then for EC2 to do as it is told; and between two tries.
PATIENCE, PAUSE = 300.0, 0.5
TIMEOUT = 5.0
LIVING = ("pending", "running")
LOOPBACK = "127.0.0.1"
HTTP, HTTPS = 80, 443
OK = 200
WITHOUT_CONTROLLER = b'{"failing":["controller"]}'


@dataclass(frozen=True, slots=True)
class Instance:
    """`launched`: when it was started last."""

    id: str
    state: str
    launched: datetime


def may_take(me: Instance, holder: Instance | None) -> bool:
    """Whether the address is this instance's to take: nobody's that lives and was launched later."""
    if holder is None or holder.state not in LIVING:
        return True
    return (holder.launched, holder.id) <= (me.launched, me.id)


def take(ec2: Any, allocation: str, id: str) -> bool:
    """Whether the address is this instance's now; boto3's errors come as they are."""
    holder_id = holder_of(ec2, allocation)
    if holder_id == id:
        return True
    known = instances(ec2, [id, *filter(None, [holder_id])])
    me, holder = known.get(id, Instance(id, "running", datetime.max.replace(tzinfo=UTC))), known.get(holder_id)
    if not may_take(me, holder):
        log.warning("the address stays with instance %s, which is younger", holder_id)
        return False
    ec2.associate_address(AllocationId=allocation, InstanceId=id, AllowReassociation=True)
    log.info("instance %s has the address now; before: %s", id, holder_id or "nobody")
    return True


def holder_of(ec2: Any, allocation: str) -> str:
    """Empty if nobody has it."""
    (address,) = ec2.describe_addresses(AllocationIds=[allocation])["Addresses"]
    return str(address.get("InstanceId", ""))


def instances(ec2: Any, ids: list[str]) -> Mapping[str, Instance]:
    # By filter: for an id that is gone, asking by name is an error.
    pages = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": ids}])["Reservations"]
    found = (one for page in pages for one in page["Instances"])
    return {one["InstanceId"]: Instance(one["InstanceId"], one["State"]["Name"], one["LaunchTime"]) for one in found}


def taken(ec2: Any, allocation: str, id: str, *, patience: float = PATIENCE) -> bool:
    """As `take`, tried again while EC2 does not answer; raises `Unavailable`."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return take(ec2, allocation, id)
        except (BotoCoreError, ClientError) as e:
            if time.monotonic() > deadline:
                raise Unavailable(f"the address {allocation} cannot be taken: {e}") from e
            log.info("the address cannot be taken yet: %s", e)
            time.sleep(PAUSE)


def is_ready(address: Address, port: int) -> bool:
    """Whether the web tier works and Caddy answers: by TLS, or, where a certificate has to come yet, at all."""
    if not _works(_asked(http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT))):
        return False
    if address.domain:
        # Let's Encrypt looks here, by the domain's address: it cannot, before this machine has it.
        return _asked(http.client.HTTPConnection(LOOPBACK, HTTP, timeout=TIMEOUT), address.domain) is not None
    context = ssl.create_default_context()
    # It is this machine itself that answers; who trusts its authority is the clients' concern.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(LOOPBACK, HTTPS, timeout=TIMEOUT, context=context)
    return _works(_asked(connection, address.ip))


def _works(answer: tuple[int, bytes] | None) -> bool:
    """Without a controller, too: that is another machine, and no other web tier had one."""
    if answer is None:
        return False
    status, body = answer
    return status == OK or body.strip() == WITHOUT_CONTROLLER


def _asked(connection: http.client.HTTPConnection, host: str = LOOPBACK) -> tuple[int, bytes] | None:
    """What `/readyz` is answered with; None if it is not answered."""
    try:
        connection.request("GET", "/readyz", headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def await_ready(address: Address, port: int, *, patience: float = PATIENCE) -> None:
    """Raises `Unavailable`."""
    deadline = time.monotonic() + patience
    while not is_ready(address, port):
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the web tier or Caddy did not answer for {patience:.0f} s, so the address stays where it is: "
                "journalctl -u facefleet-web -u facefleet-caddy says why"
            )
        time.sleep(PAUSE)


def run(told: UserData | None, id: str, *, patience: float = PATIENCE) -> bool:
    """Whether the address is this instance's now. Raises `Unavailable`, and `BadSettings` for user data without one."""
    if told is None or told.address is None:
        raise BadSettings("user data names no address: only a web tier has one")
    await_ready(told.address, int(told.settings.get("FACEFLEET_PORT", PORT)), patience=patience)
    config = Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"total_max_attempts": 2})
    ec2 = boto3.client("ec2", region_name=told.settings.get("AWS_DEFAULT_REGION"), config=config)
    return taken(ec2, told.address.allocation, id, patience=patience)


@entry_point
def main(_: Settings) -> None:
    run(read(metadata.user_data().data), metadata.instance_id())


if __name__ == "__main__":
    main()

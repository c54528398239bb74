"""moto's EC2 as EC2 is: instances take their time, tokens are kept, lists lag, and there may be no capacity.

moto itself launches, starts, stops and terminates within the call, and knows no tokens.
"""

import copy
import json
from datetime import timedelta

import addresses
import launches
import networks
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.utils import filter_reservations
from world import WORLD

#: Seconds are short here. On EC2, one that is started again was launched minutes ago, as its disk tells.
AGE = timedelta(minutes=5)
MOTO_INIT = Instance.__init__
MOTO_RUN, MOTO_START = InstanceResponse.run_instances, InstanceResponse.start_instances
MOTO_END = InstanceResponse.terminate_instances


def instance_init(self, *args, **kwargs) -> None:
    MOTO_INIT(self, *args, **kwargs)
    self.past = []
    WORLD.come_up(self)


def instance_start(self):
    previous = copy.copy(self._state)
    if previous.name not in ("pending", "running", "stopped"):
        raise _incorrect(self, "started")
    if previous.name == "stopped":
        self.launch_time, self._reason = utcnow(), ""
        for attached in (*self.nics.values(), *(v.attachment for v in _volumes(self))):
            attached.attach_time = min(attached.attach_time, self.launch_time - AGE)
        for disk in self.block_device_mapping.values():
            disk.attach_time = min(disk.attach_time, self.launch_time - AGE)
        WORLD.come_up(self)
    return previous


def instance_stop(self):
    previous = copy.copy(self._state)
    if self.lifecycle == "spot":
        raise EC2ClientError("UnsupportedOperation", f"You can't stop the Spot Instance '{self.id}'")
    if previous.name not in ("running", "stopping", "stopped"):
        raise _incorrect(self, "stopped")
    if previous.name == "running":
        WORLD.leave(self, "stopping", WORLD.stop, lambda: WORLD.enter(self, "stopped"))
    return previous


def instance_terminate(self):
    previous = copy.copy(self._state)
    if WORLD.skips_shutdown:
        WORLD.doubles.kill(self.id)
    if previous.name == "stopped":
        WORLD.terminated(self)
    elif previous.name not in ("shutting-down", "terminated"):
        WORLD.leave(self, "shutting-down", WORLD.end, lambda: WORLD.terminated(self))
    return previous


def _volumes(instance: Instance) -> list:
    return [WORLD.ec2.volumes[disk.volume_id] for disk in instance.block_device_mapping.values()]


def _incorrect(instance: Instance, verb: str) -> EC2ClientError:
    return EC2ClientError(
        "IncorrectInstanceState", f"The instance '{instance.id}' is not in a state from which it can be {verb}."
    )


def run_instances(self):
    """Again with the same token: the same answer, as long as the instance is there."""
    token = self._get_param("ClientToken")
    asked = json.dumps({**self.params, "ClientToken": ""}, sort_keys=True, default=str)
    known, reservation = WORLD.tokens.get(token, (asked, None))
    if known != asked:
        raise EC2ClientError("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent")
    if reservation is None:
        market = self._get_param("InstanceMarketOptions.MarketType", "")
        _check_capacity({self._get_param("InstanceType", "m1.small"), market})
        result = MOTO_RUN(self)
        WORLD.tokens[token] = (asked, result.result)
        return result
    if any(instance.state == "terminated" for instance in reservation.instances):
        raise EC2ClientError("IdempotentInstanceTerminated", "The instance of this client token is terminated")
    return ActionResult(reservation)


def start_instances(self):
    ids = self._get_param("InstanceIds", [])
    _check_capacity({instance.instance_type for instance in self.ec2_backend.get_multi_instances_by_id(ids)})
    return MOTO_START(self)


def _check_capacity(types: set[str]) -> None:
    if WORLD.refuses(types):
        raise EC2ClientError("InsufficientInstanceCapacity", "We currently do not have sufficient capacity.")


def terminate_instances(self):
    WORLD.skips_shutdown = bool(self._get_bool_param("SkipOsShutdown"))
    try:
        return MOTO_END(self)
    finally:
        WORLD.skips_shutdown = False


def describe_instances(self):
    """moto's, with lag and small pages; a token is the number of the reservation that a page begins with."""
    reservations = [copy.copy(one) for one in self.ec2_backend.reservations.values()]
    for one in reservations:
        one.instances = [seen for each in one.instances if (seen := WORLD.view(each)) is not None]
    found = filter_reservations(reservations, self._filters_from_querystring())
    ids = set(self._get_param("InstanceIds", []))
    found = [one for one in found if not ids or ids & {each.id for each in one.instances}]
    begin = int(self._get_param("NextToken") or 0)
    end = begin + min(int(self._get_param("MaxResults", WORLD.page)), WORLD.page)
    return ActionResult({"Reservations": found[begin:end], "NextToken": str(end) if end < len(found) else None})


def patch() -> None:
    Instance.__init__, Instance.__del__ = instance_init, lambda self: None
    Instance.start, Instance.stop, Instance.terminate = instance_start, instance_stop, instance_terminate
    InstanceResponse.run_instances, InstanceResponse.start_instances = run_instances, start_instances
    InstanceResponse.terminate_instances, InstanceResponse.describe_instances = terminate_instances, describe_instances
    launches.patch()
    addresses.patch()
    networks.patch()

"""What the private cloud that stands in for OpenStack tells of a project: its quota, key pairs, zones and groups."""

from dataclasses import dataclass, field
from typing import Any

import nova_recorded as recorded
from nova_servers import Server

COMPUTE = ("limits", "os-keypairs", "os-availability-zone")
#: Nova's default zone, after its reference: https://docs.openstack.org/api-ref/compute/#availability-zones
ZONE = {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}


@dataclass
class Project:
    """Names of what there is. `absolute`: quotas that are not as recorded, in Nova's words."""

    keys: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=lambda: ["default"])
    absolute: dict[str, int] = field(default_factory=dict)

    def compute(self, what: str, servers: list[Server], instances: int) -> Any:
        """`instances`: how many it may have."""
        if what == "limits":
            return {"limits": {"rate": [], "absolute": self._limits(servers, instances)}}
        if what == "os-keypairs":
            return {"keypairs": [_key(name) for name in self.keys]}
        return {"availabilityZoneInfo": [ZONE]}

    def _limits(self, servers: list[Server], instances: int) -> dict[str, int]:
        usual: dict[str, int] = recorded.body("limits-200")["limits"]["absolute"]
        used = {
            "totalInstancesUsed": len(servers),
            "totalCoresUsed": sum(one.flavor["vcpus"] for one in servers),
            "totalRAMUsed": sum(one.flavor["ram"] for one in servers),
        }
        return usual | {"maxTotalInstances": instances} | self.absolute | used

    def network(self, project: str) -> Any:
        group = recorded.recorded_of_site("group")["security_group"]
        ids = enumerate(self.groups)
        own = {"project_id": project, "tenant_id": project}
        return {"security_groups": [group | own | {"id": f"{group['id'][:-2]}{i:02}", "name": n} for i, n in ids]}


def _key(name: str) -> dict[str, Any]:
    (one,) = recorded.recorded_of_site("keypairs")["keypairs"]
    return {"keypair": one["keypair"] | {"name": name}}

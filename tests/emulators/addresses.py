"""Elastic IPs as EC2 has them: one moves away from who has it, and leaves an instance that ends.

They are of the documentation's third network, which is nobody's.
"""

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import elastic_ip_addresses
from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses
from world import WORLD

POOL = [f"203.0.113.{last}" for last in range(10, 250)]
MOTO_ASSOCIATE = ElasticAddressBackend.associate_address
MOTO_ANSWER = ElasticIPAddresses.associate_address


def next_address() -> str:
    """The one that was free longest: who had one before is not mistaken for who has it now."""
    taken = {one.public_ip for one in WORLD.ec2.addresses}
    free = next((ip for ip in POOL if ip not in taken), None)
    if free is None:
        raise EC2ClientError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
    POOL.remove(free)
    POOL.append(free)
    return free


def associate(self, instance=None, eni=None, address=None, allocation_id=None, reassociate=False):
    if instance is not None and instance.state not in ("running", "stopping", "stopped"):
        raise EC2ClientError(
            "InvalidInstanceID",
            f"The {instance.state} instance '{instance.id}' is not in a valid state for this operation.",
        )
    (found,) = self.address_by_ip([address]) if address else self.address_by_allocation([allocation_id])
    before = found.eni
    moved = MOTO_ASSOCIATE(self, instance, eni, address, allocation_id, reassociate)
    if before is not None and before is not moved.eni:
        _take_from(before)
    return moved


def _take_from(interface) -> None:
    interface.public_ip = None
    if interface.instance is not None and interface.instance.state == "running":
        interface.check_auto_public_ip()


def answer(self):
    """One that somebody has is moved unless that is refused; moto refuses unless it is allowed."""
    self.params.setdefault("AllowReassociation", True)
    return MOTO_ANSWER(self)


def patch() -> None:
    elastic_ip_addresses.random_ip = next_address
    ElasticAddressBackend.associate_address = associate
    ElasticIPAddresses.associate_address = answer

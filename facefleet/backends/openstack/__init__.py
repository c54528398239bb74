"""A private cloud that speaks OpenStack: its servers are instances. Queues, blobs and people live elsewhere."""

from typing import TYPE_CHECKING

from facefleet.settings import Settings

if TYPE_CHECKING:
    from facefleet.backends.openstack.fleet import NovaFleet


def servers_left(settings: Settings) -> tuple[str, ...]:
    """The fleet's servers that there are, by id; changes nothing. Raises an error where nobody can tell."""
    from facefleet.backends.openstack.connection import connect
    from facefleet.backends.openstack.servers import find

    return tuple(sorted(one.instance.id for one in find(connect(settings), settings.instance_name)))


def fleet_of(settings: Settings) -> "NovaFleet":
    """The fleet on the cloud that the settings name; makes no call. Raises `BadSettings` where none can be found."""
    # Here, since openstacksdk takes 0.4 s to import: who has no private cloud does not wait for it.
    from facefleet.backends.openstack.connection import connect
    from facefleet.backends.openstack.fleet import NovaFleet

    return NovaFleet(connect(settings), settings)

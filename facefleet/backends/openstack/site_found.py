"""What a site is made beside: networks that lead outside, images and flavors, and what others have in it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from openstack.connection import Connection

from facefleet.backends.openstack.offers import offers_of
from facefleet.backends.openstack.recipe import Recipe
from facefleet.backends.openstack.refusals import translated
from facefleet.backends.openstack.site import Server
from facefleet.errors import BadSettings, Conflict
from facefleet.settings import Settings


def public_network(cloud: Connection, word: str | None) -> Any:
    """The network outside of this name or id; None for the empty word. Raises `BadSettings` unless there is one."""
    if word == "":
        return None
    with translated("looking for networks that lead outside"):
        outside = list(cloud.network.networks(is_router_external=True))
    found = [one for one in outside if word in (None, one.name, one.id)]
    if len(found) == 1:
        return found[0]
    if not outside:
        raise BadSettings(
            "this cloud has no network that leads outside (router:external): ask its operator for one, or say --public "
            "none, and reach the site from within"
        )
    if found:
        raise BadSettings(f"several networks lead outside: name one of them, --public {names(found)}")
    raise BadSettings(f"no network {word} leads outside: there is {names(outside)}")


def names(found: Iterable[Any]) -> str:
    return ", ".join(sorted(one.name or one.id for one in found))


def gateway_of(router: Any) -> str | None:
    """The network outside that it leads to."""
    return (router.external_gateway_info or {}).get("network_id")


def relays_server(cloud: Connection, settings: Settings) -> Server:
    """Of the image and the first flavor that the settings name; raises an error that says what there is instead.

    It is given no user data: what it may know is brought to it by SSH.
    """
    offer = next(iter(offers_of(settings).values()), None)
    if offer is None:
        raise BadSettings("FACEFLEET_OPENSTACK_FLAVORS names none")
    alone = replace(
        settings, openstack_networks="none", openstack_user_data=None, openstack_key="", openstack_groups=""
    )
    return Server(Recipe(cloud, alone).of(offer), f"{offer.name}, from {settings.openstack_image}")


def refuse_taken(cloud: Connection, name: str) -> None:
    """Raises `Conflict` where a key pair of this name is somebody's own."""
    with translated("looking for key pairs"):
        taken = any(one.name == name for one in cloud.compute.keypairs())
    if taken:
        raise Conflict(f"there is a key pair {name} that the site did not make: say --name, for a site of another name")

"""Our fleet on a real control plane: what every fleet keeps to, and what is OpenStack's alone."""

import time
from collections.abc import Iterator
from secrets import token_hex

import pytest
from contract.test_fleet_cloud import *  # noqa: F403  # the same suite as of every other fleet
from contract.test_fleet_cloud import Place, real_time
from nova_fleets import Make, nova_fleets
from openstack.connection import Connection
from services import until

from bench.openstack_plane import Plane
from facefleet.backends.openstack.connection import CALL_TIMEOUT
from facefleet.backends.openstack.fleet import NovaFleet
from facefleet.errors import NoCapacity, Unavailable
from facefleet.model import InstanceState, Start

pytestmark = pytest.mark.openstack

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState


@pytest.fixture
def make(real: Plane, demo: Connection) -> Iterator[Make]:
    """By `demo` this project is empty before and afterwards."""
    settings = {"openstack_image": "debian-12", "openstack_flavors": "tiny", "openstack_networks": "none"}
    with nova_fleets(real.cloud, **settings) as make:
        yield make


@pytest.fixture
def place(make: Make) -> Iterator[Place]:
    made = Place(make(), make(), real_time)
    yield made
    made.goes(made.fleet.end)


def states(fleet: NovaFleet) -> dict[str, InstanceState]:
    return {one.id: one.state for one in fleet.instances()}


def running(fleet: NovaFleet, count: int = 1) -> list[str]:
    ids = [fleet.launch(token_hex(16), fleet.offers[0]) for _ in range(count)]
    until(lambda: all(states(fleet).get(id) is RUNNING for id in ids))
    return ids


def resting(fleet: NovaFleet, count: int = 1) -> list[str]:
    ids = running(fleet, count)
    fleet.retire(ids)
    until(lambda: all(states(fleet).get(id) is STOPPED for id in ids))
    return ids


@pytest.mark.parametrize("rest", ["stop", "shelve"])
def test_one_rests_in_the_pool_and_comes_back(make: Make, demo: Connection, rest: str) -> None:
    fleet = make(warm_pool=1, openstack_rest=rest)
    (id,) = resting(fleet)
    (before,) = fleet.instances()
    assert demo.compute.get_server(id).status == {"stop": "SHUTOFF", "shelve": "SHELVED_OFFLOADED"}[rest]
    fleet.start([id])
    until(lambda: states(fleet) == {id: RUNNING})
    (after,) = fleet.instances()
    assert (before.start, after.start, after.launched_at > before.launched_at) == (Start.LAUNCH, Start.POOL, True)


def test_one_that_somebody_else_started_or_stopped_is_no_error(make: Make, demo: Connection) -> None:
    """Nova says 409."""
    fleet = make(warm_pool=2)
    (id,) = resting(fleet)
    demo.compute.start_server(id)
    until(lambda: demo.compute.get_server(id).status == "ACTIVE")
    fleet.start([id])
    assert states(fleet) == {id: RUNNING}
    demo.compute.stop_server(id)
    until(lambda: demo.compute.get_server(id).status == "SHUTOFF")
    fleet.retire([id])
    assert states(fleet) == {id: STOPPED}


def test_a_quota_that_is_used_up_is_want_of_capacity(make: Make, real: Plane) -> None:
    real.set_quota("demo", instances=2)
    fleet = make(warm_pool=2)
    ids = running(fleet, 2)
    with pytest.raises(NoCapacity, match="Quota exceeded for instances"):
        running(fleet)
    assert set(states(fleet)) == set(ids)


@pytest.mark.parametrize("why", ["flavor", "hosts"])
def test_where_no_host_is_found_nothing_stays_and_it_is_want_of_capacity(
    make: Make, real: Plane, demo: Connection, why: str
) -> None:
    fleet = make(openstack_flavors="huge" if why == "flavor" else "tiny")
    if why == "flavor":
        with pytest.raises(NoCapacity, match="No valid host was found"):
            running(fleet)
    else:
        with real.no_room(), pytest.raises(NoCapacity, match="No valid host was found"):
            running(fleet)
    assert states(fleet) == {}
    until(lambda: list(demo.compute.servers()) == [])


def test_a_shelved_one_that_finds_no_host_is_want_of_capacity(make: Make, real: Plane) -> None:
    fleet = make(warm_pool=1, openstack_rest="shelve")
    (id,) = resting(fleet)
    with real.no_room(), pytest.raises(NoCapacity, match="no host was found"):
        fleet.start([id])
    assert states(fleet) == {id: STOPPED}


def test_two_fleets_at_once_do_not_touch_each_other(make: Make, demo: Connection) -> None:
    """In one project, and a third in another."""
    one, two, third = make(instance_name="one"), make(instance_name="two"), make("other", instance_name="one")
    ours, theirs, far = running(one, 2), running(two), running(third)
    assert (set(states(one)), set(states(two)), set(states(third))) == (set(ours), set(theirs), set(far))
    for verb in (one.start, one.retire, one.end):
        verb([*theirs, *far])
    one.retire(ours)
    until(lambda: states(one) == {})
    one.tidy()
    assert states(two) == dict.fromkeys(theirs, RUNNING)
    assert states(third) == dict.fromkeys(far, RUNNING)
    third.end(far)
    until(lambda: states(third) == {})


def test_two_for_a_token_are_one_and_the_younger_goes(make: Make, demo: Connection) -> None:
    fleet, token = make(), token_hex(16)
    id = fleet.launch(token, fleet.offers[0])
    made = demo.compute.get_server(id)
    # Nova tells the time in whole seconds.
    time.sleep(1.1)
    copy = demo.compute.create_server(
        name=made.name,
        image_id=made.image.id,
        flavor_id=demo.compute.find_flavor("tiny", ignore_missing=False).id,
        networks="none",
        metadata=made.metadata,
    )

    def alone() -> bool:
        assert set(states(fleet)) == {id}
        return [one.id for one in demo.compute.servers()] == [id]

    until(alone)
    assert copy.id != id


def test_one_that_is_up_is_never_deleted_but_stopped_first(make: Make, demo: Connection) -> None:
    fleet = make(warm_pool=0)
    (id,) = running(fleet)
    fleet.retire([id])
    done = {event.action for event in demo.compute.server_actions(id)}
    assert "stop" in done and "delete" not in done
    until(lambda: states(fleet) == {})


@pytest.mark.parametrize("how", ["off", "hung"])
def test_a_cloud_that_is_off_or_hangs_is_given_up_in_time(make: Make, real: Plane, how: str) -> None:
    fleet = make()
    (id,) = running(fleet)
    with getattr(real, how)():
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            fleet.instances()
        assert time.monotonic() - begun < 2 * CALL_TIMEOUT
    until(lambda: states(fleet) == {id: RUNNING})

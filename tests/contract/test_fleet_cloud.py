"""What the loop trusts a fleet to do: the same of real processes and of the clouds that laws and simulations use."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from clouds import Clock, Cloud
from nova_cloud import nova_cloud
from nova_fleets import Make, nova_fleets

from bench.emulators import Emulator
from controller.simulation.cloud import Cloud as Simulated
from controller.simulation.cloud import World
from controller.simulation.loads import Load
from facefleet.backends.fleets import Fleets
from facefleet.errors import Conflict
from facefleet.model import Instance, InstanceState, Start
from facefleet.ports import Fleet

from .amazon import Account
from .conftest import MakeFleet
from .workers import PATIENCE, states

UP = (InstanceState.PENDING, InstanceState.RUNNING)
LAGS = (0.0, 20.0, 3.0)
#: Where time passes for real.
LAG = 0.1


@dataclass
class Place:
    """A fleet, the same as another controller sees it, and how its time passes."""

    fleet: Fleet
    other: Fleet
    passes: Callable[[Callable[[], bool]], None]

    def launch(self, token: str | None = None) -> str:
        token = token or secrets.token_hex(16)
        id = self.fleet.launch(token, self.fleet.offers[0])
        if id == token:
            # A group can tell only once something has come.
            self.passes(lambda: any(one.token == token for one in self.fleet.instances()))
            id = self.fleet.launch(token, self.fleet.offers[0])
        return id

    def one(self) -> Instance:
        """The only instance, once lists have settled."""
        self.passes(lambda: len(self.fleet.instances()) == 1)
        (instance,) = self.fleet.instances()
        return instance

    def runs(self, id: str) -> None:
        self.passes(lambda: states(self.fleet).get(id) is InstanceState.RUNNING)

    def empties(self) -> None:
        self.passes(lambda: not self.fleet.instances())

    def goes(self, verb: Callable[[list[str]], None]) -> None:
        """Who wants one gone asks again: a process that has not come to life yet hears nothing."""

        def gone() -> bool:
            verb(list(states(self.fleet)))
            return not self.fleet.instances()

        self.passes(gone)


def real_time(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not come():
        assert time.monotonic() < deadline


def until_settled(clock: Clock, advance: Callable[[float], object], come: Callable[[], bool]) -> None:
    """Until it is so, and is so in every list."""
    deadline, times = clock.now + 600, 0
    while times < 2 * len(LAGS):
        assert clock.now < deadline
        times = times + 1 if come() else 0
        advance(0.0 if times else 1.0)


def made_up() -> Place:
    """Its lists are up to twenty seconds old, one more and another less."""
    clock = Clock()
    cloud = Cloud(clock, settles_after=max(LAGS))
    cloud.lags.extend(LAGS)

    return Place(cloud, cloud, lambda come: until_settled(clock, cloud.advance, come))


def over_two_clouds() -> Place:
    """Of one of them, and the other one answers as well."""
    clock = Clock()
    clouds = [Cloud(clock, prefix=prefix, settles_after=max(LAGS)) for prefix in ("n", "i")]
    clouds[0].lags.extend(LAGS)

    def fleets() -> Fleets:
        own, burst = clouds
        return Fleets({"openstack": lambda: own, "ec2": lambda: burst}, {"openstack": 9, "ec2": 9})

    def advance(seconds: float) -> None:
        clouds[0].advance(seconds)
        # Their clock is the same one.
        clouds[1].advance(0.0)

    return Place(fleets(), fleets(), lambda come: until_settled(clock, advance, come))


def simulated() -> Place:
    """The simulator's, with a world in which nothing fails."""
    cloud = Simulated(Load("none", np.array([]), 500), World(), Random(1))

    def passes(come: Callable[[], bool]) -> None:
        deadline = cloud.now + 600
        while not come():
            assert cloud.now < deadline
            cloud.run_to(cloud.now + 1.0)

    return Place(cloud, cloud, passes)


def on_ec2(cloud: Emulator, *, lag: float = 0.0) -> Place:
    cloud.told("/_faults", {"lag": lag})
    account = Account(cloud)
    return Place(account.fleet(), account.fleet(), real_time)


def in_a_group(cloud: Emulator, *, lag: float = 0.0) -> Place:
    cloud.told("/_faults", {"lag": lag})
    account = Account(cloud).group()
    return Place(account.group_fleet(), account.group_fleet(), real_time)


@pytest.fixture
def on_openstack() -> Iterator[Make]:
    with nova_cloud() as cloud, nova_fleets(cloud.cloud) as make:
        yield make


def of_openstack(make: Make) -> Place:
    return Place(make(), make(), real_time)


KINDS = ["real", "memory", "simulated", "fleets", "ec2", "ec2 with lag", "group", "group with lag", "openstack"]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, make_fleet: MakeFleet) -> Iterator[Place]:
    places = {
        "real": lambda: Place(make_fleet(), make_fleet(), real_time),
        "memory": made_up,
        "simulated": simulated,
        "fleets": over_two_clouds,
        "ec2": lambda: on_ec2(request.getfixturevalue("cloud")),
        "ec2 with lag": lambda: on_ec2(request.getfixturevalue("cloud"), lag=LAG),
        "group": lambda: in_a_group(request.getfixturevalue("cloud")),
        "group with lag": lambda: in_a_group(request.getfixturevalue("cloud"), lag=LAG),
        "openstack": lambda: of_openstack(request.getfixturevalue("on_openstack")),
    }
    made = places[request.param]()
    yield made
    made.goes(made.fleet.end)


def test_there_is_something_to_launch(place: Place) -> None:
    assert place.fleet.offers
    assert set(place.fleet.can_rest) <= set(place.fleet.offers)
    assert place.fleet.settles_after >= 0


def test_what_has_just_been_launched_is_not_stale(place: Place) -> None:
    place.launch()
    assert not place.one().is_stale


def test_what_is_launched_is_listed_for_its_token_once_lists_have_settled(place: Place) -> None:
    token = secrets.token_hex(16)
    id = place.launch(token)
    instance = place.one()
    assert (instance.id, instance.token, instance.start) == (id, token, Start.LAUNCH)
    assert instance.state in UP


def test_a_token_used_again_brings_no_second_instance(place: Place) -> None:
    token = secrets.token_hex(16)
    id = place.launch(token)
    assert place.launch(token) == id
    assert place.other.launch(token, place.other.offers[0]) == id
    place.runs(id)
    assert place.launch(token) == id
    assert place.one().id == id


def test_every_other_token_brings_another(place: Place) -> None:
    launched = {place.launch() for _ in range(3)}
    assert len(launched) == 3
    place.passes(lambda: set(states(place.fleet)) == launched)
    assert set(states(place.other)) == launched


def test_since_when_it_is_paid_for_stays_as_it_is(place: Place) -> None:
    id = place.launch()
    before = place.one()
    place.runs(id)
    after = place.one()
    assert before.launched_at == after.launched_at > 0
    assert before.since <= after.since


def test_to_retire_twice_drains_once_and_it_goes(place: Place) -> None:
    id = place.launch()
    place.runs(id)
    place.fleet.retire([id])
    place.fleet.retire([id])
    place.empties()
    place.fleet.retire([id])
    assert place.fleet.instances() == []


def test_one_retired_on_its_way_up_goes_as_well(place: Place) -> None:
    place.launch()
    place.goes(place.fleet.retire)


def test_to_end_twice_ends_once_and_it_is_gone(place: Place) -> None:
    ended, kept = place.launch(), place.launch()
    place.runs(ended)
    place.fleet.end([ended])
    place.fleet.end([ended])
    place.passes(lambda: set(states(place.fleet)) == {kept})
    place.fleet.end([ended])
    assert set(states(place.fleet)) == {kept}


def test_one_is_ended_even_on_its_way_up(place: Place) -> None:
    place.launch()
    place.goes(place.fleet.end)


def test_one_that_drains_can_be_ended(place: Place) -> None:
    id = place.launch()
    place.runs(id)
    place.fleet.retire([id])
    place.fleet.end([id])
    place.empties()


def test_the_token_of_one_that_is_gone_brings_no_other_in_its_place_unseen(place: Place) -> None:
    """It is refused, or it brings what is listed under it: never one that nobody knows."""
    token = secrets.token_hex(16)
    place.launch(token)
    place.goes(place.fleet.end)
    try:
        again = place.launch(token)
    except Conflict:
        assert place.fleet.instances() == []
    else:
        assert (place.one().id, place.one().token) == (again, token)


def test_to_start_those_that_are_up_changes_nothing(place: Place) -> None:
    id = place.launch()
    place.runs(id)
    before = place.one()
    place.fleet.start([id])
    assert place.one() == before


@pytest.mark.parametrize("verb", ["start", "retire", "end"])
def test_a_verb_on_nobody_known_is_harmless(place: Place, verb: str) -> None:
    id = place.launch()
    place.runs(id)
    for ids in ([], ["nobody", "../../etc/passwd", ""]):
        getattr(place.fleet, verb)(ids)
    assert place.one().id == id

"""A fleet over several clouds, asked directly: whom it asks, what it makes of their errors, and how long it waits."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import pytest
from cloudlets import Place
from clouds import Clock

from facefleet.backends.fleets import Fleets
from facefleet.backends.fleets.cloud import LONGEST_PAUSE
from facefleet.errors import Away, BadSettings, Conflict, NoCapacity, ServiceError, Throttled, Unavailable
from facefleet.ports import Share

#: Seconds that a test waits for a list that never comes.
SOON = 0.2


@dataclass
class Site:
    own: Place
    burst: Place
    clock: Clock
    fleets: Fleets

    def away(self) -> list[bool]:
        return [share.is_away for share in self.fleets.shares]

    def ids(self) -> list[tuple[str, int]]:
        return [(one.id, one.rank) for one in self.fleets.instances()]


@pytest.fixture
def site() -> Iterator[Site]:
    own, burst, clock = Place(["n"]), Place(["i"], offers=("large", "small"), settles_after=20.0, at_once=3), Clock()
    makes = {"openstack": lambda: own, "ec2": lambda: burst}
    fleets = Fleets(makes, {"openstack": 2, "ec2": 9}, clock=lambda: clock.now, chance=lambda: 1.0, patience=SOON)
    yield Site(own, burst, clock, fleets)
    for place in (own, burst):
        if place.hangs is not None:
            place.hangs.set()


def test_what_both_have_is_listed_and_ones_own_comes_first(site: Site) -> None:
    assert site.ids() == [("n", 0), ("i", 1)]
    assert site.fleets.offers == ("openstack:small", "ec2:large", "ec2:small")
    assert site.fleets.shares == (
        Share("openstack", 2, ("openstack:small",)),
        Share("ec2", 9, ("ec2:large", "ec2:small")),
    )
    assert (site.fleets.settles_after, site.fleets.at_once) == (20.0, 5)


def test_each_is_asked_for_what_is_its_own_and_who_is_unknown_may_be_of_any(site: Site) -> None:
    site.fleets.instances()
    id = site.fleets.launch("token", "ec2:large")
    site.fleets.retire(["n", id])
    site.fleets.end(["i", "nobody"])
    assert site.own.asked[1:] == [("retire", ["n"]), ("end", ["nobody"])]
    assert site.burst.asked[1:] == [("launch", "large"), ("retire", [id]), ("end", ["i", "nobody"])]


def test_an_offer_of_a_cloud_that_is_none_any_more_is_used_up(site: Site) -> None:
    with pytest.raises(Conflict, match="not offered"):
        site.fleets.launch("token", "elsewhere:small")


@pytest.mark.parametrize("error", [Unavailable("503"), Throttled("429"), BadSettings("401"), RuntimeError("a bug")])
def test_where_one_cannot_be_listed_the_other_goes_on_and_it_is_left_alone_longer_each_time(
    site: Site, error: Exception
) -> None:
    site.own.error = error
    asked = []
    for second in range(120):
        site.clock.now += 1.0
        assert site.ids() == [("i", 1)]
        asked += [second] * (len(site.own.asked) > len(asked))
    assert site.away() == [True, False]
    pauses = [later - sooner for sooner, later in pairwise(asked)]
    assert pauses[:5] == [1, 2, 4, 8, 16] and pauses[-1] == LONGEST_PAUSE
    assert len(site.burst.asked) == 120


def test_one_that_answers_again_is_listed_at_once_and_was_never_forgotten(site: Site) -> None:
    site.ids()
    site.own.error = Unavailable("gone")
    assert site.ids() == [("i", 1)]
    site.own.error = None
    site.clock.now += 1.0
    assert site.ids() == [("n", 0), ("i", 1)] and site.away() == [False, False]
    site.fleets.end(["n"])
    assert site.own.asked[-1] == ("end", ["n"])


def test_where_none_answers_that_is_told_and_all_are_asked_each_time(site: Site) -> None:
    site.own.error, site.burst.error = Unavailable("here"), Unavailable("there")
    for times in (1, 2, 3):
        with pytest.raises(Unavailable, match="here"):
            site.fleets.instances()
        assert (len(site.own.asked), len(site.burst.asked)) == (times, times)
    site.burst.error = None
    assert site.ids() == [("i", 1)]


def test_one_that_hangs_is_waited_for_once_and_not_asked_twice(site: Site) -> None:
    site.own.hangs = threading.Event()
    begun = time.monotonic()
    assert site.ids() == [("i", 1)]
    assert SOON <= time.monotonic() - begun < 10 * SOON
    for _ in range(3):
        site.clock.now += 2 * LONGEST_PAUSE
        assert site.ids() == [("i", 1)]
    assert site.own.verbs() == ["instances"]
    site.own.hangs.set()
    poll(lambda: (site.ids(), setattr(site.clock, "now", site.clock.now + LONGEST_PAUSE), not any(site.away()))[-1])


@pytest.mark.parametrize(
    ("error", "told", "away"),
    [
        (NoCapacity("quota"), NoCapacity, False),
        (Throttled("429"), NoCapacity, False),
        (Conflict("used"), Conflict, False),
        (Unavailable("503"), Away, True),
        (BadSettings("no such image"), Away, False),
        (RuntimeError("a bug"), Away, False),
    ],
)
def test_what_keeps_a_cloud_from_launching_is_a_lack_that_others_make_up_for(
    site: Site, error: Exception, told: type[ServiceError], away: bool
) -> None:
    site.own.error = error
    with pytest.raises(told) as caught:
        site.fleets.launch("token", "openstack:small")
    assert type(caught.value) is told and site.away() == [away, False]
    assert site.fleets.launch("token", "ec2:small")


def test_one_that_is_away_is_asked_for_nothing(site: Site) -> None:
    site.ids()
    site.own.error = Unavailable("gone")
    site.ids()
    site.own.asked.clear()
    for call in (lambda: site.fleets.launch("token", "openstack:small"), lambda: site.fleets.start(["n"])):
        with pytest.raises(Away):
            call()
    for verb in (site.fleets.retire, site.fleets.end):
        with pytest.raises(Unavailable):
            verb(["n", "i"])
        assert site.burst.asked[-1] == (verb.__name__, ["i"])
    site.fleets.end(["nobody"])
    assert site.own.asked == []


@pytest.mark.parametrize("verb", ["start", "retire", "end"])
def test_a_verb_that_one_refuses_is_done_by_the_other_and_told_at_the_end(site: Site, verb: str) -> None:
    site.ids()
    site.own.refuses[verb] = NoCapacity("not this one")
    with pytest.raises(NoCapacity, match="not this one"):
        getattr(site.fleets, verb)(["n", "i"])
    assert site.burst.asked[-1] == (verb, ["i"])
    assert site.away() == [False, False]


def test_what_is_refused_of_one_instance_says_nothing_of_its_cloud(site: Site) -> None:
    site.ids()
    site.own.refuses["retire"] = Unavailable("it cannot be stopped")
    with pytest.raises(Unavailable):
        site.fleets.retire(["n"])
    assert site.away() == [False, False]


def test_no_cloud_is_asked_for_more_launches_at_the_same_time_than_it_bears(site: Site) -> None:
    site.own.hangs = threading.Event()
    threads = [threading.Thread(target=site.fleets.launch, args=(f"t{i}", "openstack:small")) for i in range(5)]
    for thread in threads:
        thread.start()
    poll(lambda: len(site.own.asked) == site.own.at_once)
    assert site.fleets.launch("token", "ec2:small"), "and the other is not kept from it"
    site.own.hangs.set()
    for thread in threads:
        thread.join(10.0)
    assert len(site.own.asked) == 5 and max(site.own.together) <= site.own.at_once


def test_who_is_kept_waiting_for_long_by_others_launches_is_to_ask_again() -> None:
    """A group takes one after the other: a dozen of them would hold up a tick for longer than a lease lasts."""
    slow = Place(["i"], at_once=1, takes=0.8)
    fleets = Fleets(
        {"openstack": lambda: Place([]), "ec2": lambda: slow}, {"openstack": 1, "ec2": 9}, long_patience=2.0
    )

    def answer(token: str) -> str:
        try:
            return fleets.launch(token, "ec2:small")
        except Throttled:
            return "again"

    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(answer, "abcdefgh"))
    assert time.monotonic() - begun < 8 * slow.takes
    assert answers.count("again") == 8 - len(slow.asked) and 1 <= len(slow.asked) <= 3
    assert fleets.launch("i", "ec2:small"), "and it is not said to be away"


def test_one_cloud_alone_tells_what_it_tells_and_is_asked_each_time() -> None:
    own = Place(["n"], error=Unavailable("503"))
    alone = Fleets({"openstack": lambda: own}, {"openstack": 2})
    for call in (alone.instances, lambda: alone.launch("t", "openstack:small"), lambda: alone.end(["n"])):
        with pytest.raises(Unavailable) as caught:
            call()
        assert caught.value is own.error
    own.error = None
    assert [one.id for one in alone.instances()] == ["n"]
    assert alone.shares == (Share("openstack", 2, ("openstack:small",)),)


def test_no_clouds_library_is_loaded_before_it_is_asked_for_anything() -> None:
    def never() -> Place:
        raise AssertionError("too early")

    Fleets({"openstack": never, "ec2": never}, {"openstack": 1, "ec2": 1})


def poll(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not come():
        assert time.monotonic() < deadline
        time.sleep(0.01)

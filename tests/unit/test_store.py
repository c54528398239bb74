"""One writes: the ledger is kept under a lease, and whoever has lost it knows it before it does anything."""

import json
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.backoff import Backoff, FailedStarts
from controller.calls import Calls
from controller.classic import CLASSIC, Peaks
from controller.estimates import Average, Bill, Estimates
from controller.ledger import Intent, Learned, Ledger, Member, dump_ledger, load_ledger, load_memory
from controller.policy import Observation, Plan, Policy, Terms
from controller.store import LEASE, LostLease, Store
from facefleet import keys
from facefleet.backends import connect
from facefleet.errors import BadMessage
from facefleet.model import Start
from facefleet.ports import Blobs
from facefleet.settings import Settings

LEDGER = Ledger(
    (Intent("aa", 1, "large", 5.0), Intent("bb", 2, "", 6.0, Start.POOL, "i-2", 7.0, unwanted=True)),
    {"i-3": Member("i-3", "cc", 3, 1.0, 2.0, Start.LAUNCH, heard=True, going_since=9.0)},
    {3: 4},
    Learned(
        "classic",
        Peaks(((1.0, 2), (2.0, 1))),
        Estimates(Average(45.0, 3), Average(20.0, 1), Average(1.0, 9), done=77),
        Bill(100.0, 9.0, ((0, 60.0), (1, 40.0))),
        FailedStarts(2, 1, 3.0, 0.5, 1.0),
        {"launch": Backoff(2, 9.5)},
        {"small": 180.0},
    ),
)


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return connect(Settings(data=tmp_path)).blobs


@pytest.fixture
def time() -> Time:
    return Time()


def test_what_is_saved_is_what_the_next_one_takes(blobs: Blobs, time: Time) -> None:
    first = Store(blobs, "a", time)
    assert first.take() == Ledger()
    first.save(LEDGER)
    taken = Store(blobs, "a", time).take()
    assert taken is not None
    assert load_memory(CLASSIC, taken.learned) == LEDGER.learned.memory
    assert replace(taken, learned=replace(taken.learned, memory=LEDGER.learned.memory)) == LEDGER


def test_another_host_leads_only_once_the_lease_has_ended(blobs: Blobs, time: Time) -> None:
    first, second = Store(blobs, "a", time), Store(blobs, "b", time)
    assert first.take() is not None
    time.now += LEASE - 1
    assert second.take() is None
    assert second.lease.holder == "a"
    first.save(LEDGER)
    time.now += LEASE - 1
    assert second.take() is None, "it was renewed"
    time.now += 2
    assert second.take() is not None
    assert second.lease.epoch == first.lease.epoch + 1
    with pytest.raises(LostLease):
        first.save(Ledger())
    assert second.look().intents == LEDGER.intents


def test_a_lease_that_ends_later_than_any_could_has_ended(blobs: Blobs, time: Time) -> None:
    """Its clock was set back since: others would stand by for hours."""
    first, second = Store(blobs, "a", time), Store(blobs, "b", time)
    assert first.take() is not None
    time.now -= 7200.0
    assert second.take() is not None
    with pytest.raises(LostLease):
        first.save(LEDGER)


def test_who_leaves_is_followed_at_once(blobs: Blobs, time: Time) -> None:
    first, second = Store(blobs, "a", time), Store(blobs, "b", time)
    assert first.take() is not None
    first.leave(LEDGER)
    taken = second.take()
    assert taken is not None
    assert taken.members == LEDGER.members


def test_who_begins_anew_on_the_same_host_leads_at_once_and_the_one_before_no_more(blobs: Blobs, time: Time) -> None:
    """On a host, a lock sees to it that the one before has ended; if it has not, it does no harm."""
    before, after = Store(blobs, "a", time), Store(blobs, "a", time)
    assert before.take() is not None
    assert after.take() is not None
    with pytest.raises(LostLease):
        before.save(LEDGER)
    after.save(LEDGER)


def test_a_write_whose_answer_was_lost_does_not_cost_the_lease(blobs: Blobs, time: Time) -> None:
    store = Store(blobs, "a", time)
    assert store.take() is not None
    data, tag = blobs.tagged(keys.CONTROLLER)
    # As the store would have written it itself, a moment later.
    blobs.put_if(keys.CONTROLLER, data.replace(b'"epoch": 1', b'"epoch":  1'), tag=tag)
    store.save(LEDGER)
    assert store.look().attempts == LEDGER.attempts


@pytest.mark.parametrize("order", sorted(set(permutations("aabb"))))
def test_of_two_that_take_over_at_once_in_any_order_one_leads(blobs: Blobs, time: Time, order: tuple[str, ...]) -> None:
    """Each tries twice, then saves: only the one that took it last may."""
    Store(blobs, "old", time).take()
    time.now += LEASE + 1
    stores = {name: Store(blobs, name, time) for name in "ab"}
    led = {name: False for name in "ab"}
    for name in order:
        led[name] = stores[name].take() is not None or led[name]
    assert sum(led.values()) == 1
    leader = next(name for name in "ab" if led[name])
    stores[leader].save(LEDGER)


@pytest.mark.parametrize("rubbish", [b"", b"{}", b"[]", b"\xff", b'{"lease": {}, "ledger": {"v": 99}}'])
def test_a_ledger_that_cannot_be_read_is_begun_anew(blobs: Blobs, time: Time, rubbish: bytes) -> None:
    blobs.put(keys.CONTROLLER, rubbish)
    store = Store(blobs, "a", time)
    assert store.take() == Ledger()
    store.save(LEDGER)


def test_who_cannot_read_the_leaders_ledger_waits_like_anybody(blobs: Blobs, time: Time) -> None:
    """As during an upgrade, where a newer one leads."""
    assert Store(blobs, "newer", time).take() is not None
    kept = json.loads(blobs.get(keys.CONTROLLER))
    blobs.put(keys.CONTROLLER, json.dumps(kept | {"ledger": {"v": 99}}).encode())
    older = Store(blobs, "older", time)
    assert older.take() is None and older.lease.holder == "newer"
    time.now += LEASE
    assert older.take() == Ledger()
    assert older.lease.epoch == kept["lease"]["epoch"] + 1, "so that the newer one knows that it leads no more"


def test_with_one_cloud_a_ledger_says_nothing_of_clouds() -> None:
    """A controller from before there were several reads it, and the other way round."""
    dumped = dump_ledger(LEDGER)
    assert not any("rank" in one for one in dumped["intents"] + dumped["members"])
    assert load_ledger(json.loads(json.dumps(dumped))).members == LEDGER.members
    of_two = replace(LEDGER, members={"i-3": replace(LEDGER.members["i-3"], rank=1)})
    assert load_ledger(json.loads(json.dumps(dump_ledger(of_two)))).members == of_two.members


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(part=st.sampled_from(["intents", "members", "attempts", "learned", "v"]), rubbish=JSON)
def test_whatever_stands_in_a_ledger_it_is_read_or_refused(part: str, rubbish: object) -> None:
    try:
        load_ledger({**dump_ledger(LEDGER), part: rubbish})
    except BadMessage:
        return
    assert part == "v" or not rubbish


@pytest.mark.parametrize("memory", [None, {}, {"peaks": [], "more": 1}, [1], {"levels": []}])
def test_a_memory_of_another_form_is_none(memory: object) -> None:
    assert load_memory(CLASSIC, Learned("classic", memory)) == Peaks()


def test_a_memory_of_another_policy_is_none() -> None:
    assert load_memory(CLASSIC, Learned("priced", {"peaks": [[1.0, 2]]})) == Peaks()
    assert load_memory(CLASSIC, Learned("classic", {"peaks": [[1.0, 2]]})) == Peaks(((1.0, 2),))


@dataclass(frozen=True)
class Inner:
    at: float
    name: str | None = None


@dataclass(frozen=True)
class Outer:
    pairs: tuple[tuple[float, int], ...] = ()
    inners: tuple[Inner, ...] = ()
    inner: Inner = Inner(0.0)
    last: float | None = None
    pair: tuple[float, int] | None = None


def nothing(seen: Observation, memory: Outer, terms: Terms, now: float) -> tuple[Plan, Outer]:
    return Plan(0, 0, (), ""), memory


OUTER = Outer(((1.0, 2), (2.5, 3)), (Inner(1.0), Inner(2.0, "b")), Inner(3.0), 4.0, (5.0, 6))


def test_a_memory_may_be_made_of_other_values(blobs: Blobs, time: Time) -> None:
    policy = Policy("nothing", nothing, Outer())
    store = Store(blobs, "a", time)
    store.take()
    store.save(Ledger(learned=Learned("nothing", OUTER)))
    assert load_memory(policy, store.look().learned) == OUTER


@pytest.mark.parametrize(
    "changed", [{"last": "soon"}, {"inners": [{"at": 1.0}]}, {"pairs": [[1.0]]}, {"inner": None}, {"pairs": 3}]
)
def test_a_memory_with_a_part_of_another_form_is_none(changed: dict[str, object]) -> None:
    policy = Policy("nothing", nothing, Outer())
    assert load_memory(policy, Learned("nothing", asdict(OUTER) | changed)) == Outer()


def test_who_was_paused_for_longer_than_the_lease_asks_for_nothing_more_if_another_leads(
    blobs: Blobs, time: Time
) -> None:
    """The token that it has in hand may be used up by now, and another one be asked for in its place."""
    paused, other = Store(blobs, "here", time), Store(blobs, "there", time)
    assert paused.take() is not None
    paused.assure()
    time.now += LEASE
    paused.assure()
    time.now += LEASE
    assert other.take() is not None
    asked: list[str] = []
    with pytest.raises(LostLease):
        Calls(lambda: 1.0, paused.assure).ask("launch", lambda: asked.append("launch"), time())
    assert asked == []

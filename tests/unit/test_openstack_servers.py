"""What a fleet on OpenStack decides before it calls anybody: laws of pure functions, over recorded answers too."""

from dataclasses import replace

import nova_recorded as recorded
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openstack.compute.v2.server import Server
from openstack.exceptions import HttpException

from facefleet.backends.openstack.offers import offers_of
from facefleet.backends.openstack.refusals import in_our_words as in_our_errors
from facefleet.backends.openstack.servers import (
    LEAVES,
    STARTED,
    Listed,
    as_listed,
    as_made,
    how_to_leave,
    in_our_words,
    one_each,
    too_many,
)
from facefleet.model import Instance, InstanceState, Start
from facefleet.settings import Settings

law = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
IDS = st.sampled_from([f"s-{n}" for n in range(8)])
#: Status and task as Nova has them together.
SHAPES = [
    ("BUILD", "scheduling"),
    ("BUILD", "spawning"),
    ("ACTIVE", ""),
    ("ACTIVE", "powering-off"),
    ("ACTIVE", "deleting"),
    ("ACTIVE", "shelving"),
    ("SHUTOFF", ""),
    ("SHUTOFF", "powering-on"),
    ("SHELVED_OFFLOADED", ""),
    ("SHELVED_OFFLOADED", "unshelving"),
    ("SHUTOFF", "deleting"),
]


def listed(id: str, shape: tuple[str, str], since: float = 1.0, **more: object) -> Listed:
    state = in_our_words(*shape, leaves=bool(more.get("leaves")))
    token = str(more.pop("token", id))
    stale = bool(more.pop("is_stale", False))
    return Listed(Instance(id, state, since, since, token=token, is_stale=stale), *shape, **more)


DRAWN = st.tuples(st.sampled_from(SHAPES), st.integers(0, 9), st.booleans(), st.booleans())
FLEETS = st.dictionaries(IDS, DRAWN).map(
    lambda drawn: {
        id: listed(id, shape, float(at), leaves=leaves, is_stale=stale)
        for id, (shape, at, leaves, stale) in drawn.items()
    }
)


def told(name: str, **changes: object) -> Listed:
    return as_listed(Server.existing(**recorded.server(name) | changes))


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("servers-detail-build", PENDING),
        ("servers-detail-active", RUNNING),
        ("servers-detail-active-2.1", RUNNING),
        ("servers-detail-powering-off", STOPPING),
        ("servers-detail-shutoff", STOPPED),
        ("servers-detail-powering-on", PENDING),
        ("servers-detail-shelving", STOPPING),
        ("servers-detail-shelved-offloaded", STOPPED),
        ("servers-detail-unshelving", PENDING),
        ("servers-detail-deleting", STOPPING),
    ],
)
def test_what_nova_is_about_counts_for_more_than_the_status_which_lags(name: str, state: InstanceState) -> None:
    assert told(name).instance.state is state


def test_a_server_says_what_it_came_for_and_since_when_it_is_paid_for() -> None:
    one = told("servers-detail-active").instance
    assert (one.token, one.start, one.since >= one.launched_at > 0) == ("t-1", Start.LAUNCH, True)
    started = told("servers-detail-active", metadata={STARTED: f"{one.launched_at + 60:.3f}"}).instance
    assert (started.start, started.launched_at) == (Start.POOL, one.launched_at + 60)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-11-22T12:00:00Z"])
def test_a_time_of_start_that_somebody_else_wrote_is_none(text: str) -> None:
    assert told("servers-detail-active", metadata={STARTED: text}).instance.start is Start.LAUNCH


@pytest.mark.parametrize(
    "name", ["servers-detail-error", "servers-detail-error-at-host", "servers-detail-error-disabled"]
)
def test_one_in_error_is_lost_until_it_is_deleted(name: str) -> None:
    assert told(name).is_lost and not told(name).launched
    assert not told(name, **{"OS-EXT-STS:task_state": "deleting"}).is_lost


def test_one_that_was_told_to_go_for_good_does_not_rest() -> None:
    shut = told("servers-detail-shutoff", metadata={LEAVES: "1"})
    assert (shut.instance.state, shut.rests, shut.is_down) == (STOPPING, False, True)
    # Who could not be stopped yet is asked again.
    assert told("servers-detail-active", metadata={LEAVES: "1"}).instance.state is RUNNING


def test_a_page_where_a_sentence_was_due_is_told_in_short() -> None:
    error = HttpException(details="<p>We are sorry</p>" * 10**5)
    assert 100 < len(str(in_our_errors(error, "listing servers"))) < 1000


def test_offers_are_flavors_then_zones() -> None:
    settings = Settings(openstack_flavors="m1.small, m1.medium", openstack_zones="a,b")
    assert list(offers_of(settings)) == ["m1.small/a", "m1.small/b", "m1.medium/a", "m1.medium/b"]
    assert list(offers_of(Settings())) == ["m1.small"]


@law
@given(FLEETS, st.lists(st.one_of(IDS, st.text())), st.integers(0, 5))
def test_who_leaves_was_asked_to_and_is_up_and_no_plug_is_pulled(
    fleet: dict[str, Listed], ids: list[str], pool: int
) -> None:
    leaving = how_to_leave(fleet, ids, pool)
    gone = leaving.rest + leaving.stop + leaving.delete
    assert len(set(gone)) == len(gone)
    assert all(id in ids and fleet[id].instance.state in (PENDING, RUNNING) for id in gone)
    assert all(fleet[id].instance.state is RUNNING for id in leaving.rest + leaving.stop)
    assert all(fleet[id].status == "BUILD" for id in leaving.delete)
    before = sum(one.rests for one in fleet.values())
    assert not leaving.rest or before + len(leaving.rest) <= pool
    # Nobody is forgotten: who is left alone is on the way up.
    left = [id for id in set(ids) if id in fleet and fleet[id].instance.state in (PENDING, RUNNING) and id not in gone]
    assert all(fleet[id].instance.state is PENDING for id in left)


@law
@given(FLEETS, st.lists(IDS, min_size=1), st.integers(0, 5))
def test_a_stale_one_takes_no_fresh_ones_place_in_the_pool(fleet: dict[str, Listed], ids: list[str], pool: int) -> None:
    old = {id for id, one in fleet.items() if one.instance.is_stale}
    asked = [id for id in ids if id not in old]
    without = how_to_leave({id: one for id, one in fleet.items() if id not in old}, asked, pool)
    assert how_to_leave(fleet, asked, pool) == without


@law
@given(FLEETS, st.integers(0, 5))
def test_of_the_pool_stale_ones_and_then_the_oldest_are_too_many(fleet: dict[str, Listed], pool: int) -> None:
    out = too_many(fleet, pool)
    stopped = {id: one.instance for id, one in fleet.items() if one.instance.state is STOPPED}
    assert set(out) <= stopped.keys()
    assert len(out) == max(0, min(len(stopped), sum(one.rests for one in fleet.values()) - pool))
    for a in out:
        for b in stopped.keys() - set(out):
            assert (not stopped[a].is_stale, stopped[a].since) <= (not stopped[b].is_stale, stopped[b].since)


@law
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(SHAPES), st.integers(0, 3)), max_size=8))
def test_of_several_for_a_token_everybody_sees_the_same_one(drawn: list[tuple[str, tuple[str, str], int]]) -> None:
    found = [listed(f"s-{n}", shape, token=token, created=float(at)) for n, (token, shape, at) in enumerate(drawn)]
    kept, doubles = one_each(found)
    assert one_each(found[::-1]) == (kept, doubles)
    assert {one.instance.token for one in kept} == {token for token, _, _ in drawn}
    assert len(kept) + len(doubles) == len(found) and len({one.instance.token for one in kept}) == len(kept)
    for one in kept:
        others = [other for other in doubles if other.instance.token == one.instance.token]
        assert all((one.is_going, one.created) <= (other.is_going, other.created) for other in others)


def test_those_without_a_token_are_all_seen() -> None:
    found = [listed(f"s-{n}", ("ACTIVE", ""), token="") for n in range(3)]
    assert one_each(found) == (found, [])


@pytest.mark.parametrize(
    ("version", "now", "is_stale"),
    [("a", {"a", "b"}, False), ("c", {"a", "b"}, True), ("", {"a"}, False), ("c", None, False)],
)
def test_who_was_made_of_something_else_is_stale(version: str, now: set[str] | None, *, is_stale: bool) -> None:
    one = replace(listed("s-1", ("ACTIVE", "")), version=version)
    assert as_made(one, None if now is None else frozenset(now)).instance.is_stale is is_stale

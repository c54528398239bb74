"""What a fleet on EC2 decides before it calls anybody: laws of pure functions."""

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from facefleet.backends.aws.fleet import IN_POOL, Ec2Fleet, how_to_leave, request, too_many
from facefleet.backends.aws.group_state import SETTLES_AFTER, Standing, as_standing, ours, over, smaller
from facefleet.backends.aws.group_state import given as tokens_given
from facefleet.backends.aws.instances import LIVING, STATES, TOKEN, Listed, as_listed, changed_at
from facefleet.backends.aws.offers import Offer, is_spot, offers_of
from facefleet.backends.aws.refusals import is_of_what_was_asked
from facefleet.backends.aws.versions import ASK_EVERY, TEMPLATE, VERSION, Versions, as_made
from facefleet.model import Instance, InstanceState, Start
from facefleet.settings import Settings

IDS = st.sampled_from([f"i-{n}" for n in range(8)])
SHARES = st.floats(0, 1)


def listed(id: str, state: str, since: float = 1.0, *, is_spot: bool = False, **tags: str) -> Listed:
    instance = Instance(id, STATES[state], since, since, token=tags.get(TOKEN, ""))
    return Listed(instance, state, is_spot, tags)


FLEETS = st.dictionaries(IDS, st.tuples(st.sampled_from(LIVING), st.booleans(), st.integers(0, 9))).map(
    lambda drawn: {id: listed(id, state, float(at), is_spot=spot) for id, (state, spot, at) in drawn.items()}
)


@given(FLEETS, st.lists(st.one_of(IDS, st.text())), st.integers(0, 5))
def test_who_leaves_was_asked_to_and_is_up_and_the_pool_never_gets_too_full(
    fleet: dict[str, Listed], ids: list[str], pool: int
) -> None:
    leaving = how_to_leave(fleet, ids, pool)
    gone = leaving.stop + leaving.terminate
    assert len(set(gone)) == len(gone)
    assert all(id in ids and fleet[id].state in ("pending", "running") for id in gone)
    assert all(fleet[id].state == "running" and not fleet[id].is_spot for id in leaving.stop)
    before = sum(one.state in IN_POOL for one in fleet.values())
    assert not leaving.stop or before + len(leaving.stop) <= pool
    # Nobody is forgotten: who is left alone is on the way up, and there is room for it.
    waiting = [id for id in set(ids) if id in fleet and fleet[id].state in ("pending", "running") and id not in gone]
    assert all(fleet[id].state == "pending" for id in waiting)
    assert before + len(leaving.stop) + len(waiting) <= max(pool, before)


@given(FLEETS, st.integers(0, 5))
def test_of_the_pool_the_oldest_are_too_many_and_never_one_that_is_needed(fleet: dict[str, Listed], pool: int) -> None:
    out = too_many(fleet, pool)
    stopped = {id: one for id, one in fleet.items() if one.state == "stopped"}
    resting = sum(one.state in IN_POOL for one in fleet.values())
    assert set(out) <= stopped.keys()
    assert len(out) == max(0, min(len(stopped), resting - pool))
    assert all(stopped[a].instance.since <= stopped[b].instance.since for a in out for b in stopped.keys() - set(out))


@given(st.text(), SHARES, SHARES)
def test_which_tokens_are_spot_is_fixed_and_a_larger_share_takes_more(token: str, one: float, other: float) -> None:
    assert not is_spot(token, 0.0)
    assert is_spot(token, 1.0)
    assert is_spot(token, max(one, other)) >= is_spot(token, min(one, other))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_of_many_tokens_about_the_share_is_spot(share: float) -> None:
    count = sum(is_spot(f"token-{n}", share) for n in range(2000))
    assert abs(count / 2000 - share) < 0.05


@given(st.text(min_size=1), SHARES)
def test_the_same_token_asks_for_the_same(token: str, share: float) -> None:
    offer = Offer("t3.medium", "subnet-1", share)
    asked = request(token, offer, "fleet", "template")
    assert asked == request(token, offer, "fleet", "template")
    assert ("InstanceMarketOptions" in asked) == is_spot(token, share)
    assert asked["MinCount"] == asked["MaxCount"] == 1


def test_offers_are_types_then_subnets_and_spot_first() -> None:
    settings = Settings(instance_types="t3.medium, t3a.medium", subnets="subnet-1,subnet-2", spot_share=0.5)
    on_demand = ["t3.medium/subnet-1", "t3.medium/subnet-2", "t3a.medium/subnet-1", "t3a.medium/subnet-2"]
    assert list(offers_of(settings)) == [f"{name}/spot" for name in on_demand] + on_demand
    assert list(offers_of(Settings())) == ["t3.medium"]


@pytest.mark.parametrize(
    ("reason", "at"),
    [
        ("", None),
        ("Server.SpotInstanceTermination: Spot instance termination", None),
        ("User initiated (2026-11-21 10:30:00 GMT)", datetime(2026, 11, 21, 10, 30, tzinfo=UTC).timestamp()),
    ],
)
def test_when_a_state_began_is_read_where_ec2_tells_it(reason: str, at: float | None) -> None:
    assert changed_at(reason) == at


@pytest.mark.parametrize(("renewed_after", "start"), [(0.0, Start.LAUNCH), (1.0, Start.LAUNCH), (60.0, Start.POOL)])
def test_a_launch_time_well_after_the_disk_was_attached_is_a_start_from_the_pool(
    renewed_after: float, start: Start
) -> None:
    attached = datetime(2026, 11, 21, tzinfo=UTC)
    described = {
        "InstanceId": "i-1",
        "State": {"Name": "pending"},
        "LaunchTime": datetime.fromtimestamp(attached.timestamp() + renewed_after, UTC),
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"AttachTime": attached}}],
    }
    assert as_listed(described).instance.start is start


# An Auto Scaling group

TOKENS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3).map(float))


@given(st.dictionaries(IDS, st.one_of(st.none(), st.sampled_from("abcxyz"), st.just(""))), TOKENS)
def test_new_instances_get_tokens_that_wait_each_its_own(members: dict[str, str | None], waiting: dict) -> None:
    there = {id: listed(id, "running", **({} if t is None else {TOKEN: t})) for id, t in members.items()}
    gave = tokens_given(there, waiting, {})
    assert gave.keys() == {id for id, token in members.items() if token is None}
    tokens = [token for token in gave.values() if token]
    assert len(set(tokens)) == len(tokens)
    free = waiting.keys() - {token for token in members.values() if token}
    assert set(tokens) <= free
    assert len(tokens) == min(len(free), len(gave))
    left = free - set(tokens)
    assert all(waiting[token] <= waiting[other] for token in tokens for other in left)
    # Lists that do not show it yet change nothing.
    assert tokens_given(there, waiting, gave) == {}


def test_a_token_given_up_asks_for_nothing_any_more() -> None:
    standing = Standing(desired=1, most=9, waiting={"old": 1000.0})
    assert standing.asking("new", 1000.0 + SETTLES_AFTER).wanted(frozenset()) == 1
    assert standing.asking("new", 1001.0).wanted(frozenset()) == 2
    assert over({"old": 0.0, "there": SETTLES_AFTER, "waits": SETTLES_AFTER}, ["there"], SETTLES_AFTER) == [
        "old",
        "there",
    ]


@given(
    st.integers(0, 9), st.integers(0, 3), TOKENS, st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abc"))
)
def test_a_group_becomes_smaller_for_what_was_given_up_alone_and_never_smaller_than_who_is_there_and_who_comes(
    desired: int, there: int, waiting: dict[str, float], ended: set[str], held: set[str]
) -> None:
    standing = Standing(desired, 9, frozenset(map(str, range(there))), waiting=waiting, least=1)
    count = smaller(standing, ended, held)
    if ended <= held:
        assert count is None
    elif count is None:
        assert desired <= max(1, there + len(waiting.keys() - ended))
    else:
        assert desired > count == max(1, there + len(waiting.keys() - ended))


def refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "RunInstances")


@pytest.mark.parametrize("code", ["InvalidAMIID.NotFound", "InvalidParameterValue", "VolumeLimitExceeded", "X"])
def test_a_definite_refusal_is_of_what_was_asked_for(code: str) -> None:
    assert is_of_what_was_asked(refusal(code, 400))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("InternalError", 500),
        ("RequestLimitExceeded", 503),
        ("Throttling", 400),
        ("UnauthorizedOperation", 403),
        ("AuthFailure", 401),
        ("RequestExpired", 400),
        ("IdempotentParameterMismatch", 400),
    ],
)
def test_one_of_the_caller_or_of_the_moment_is_not(code: str, status: int) -> None:
    assert not is_of_what_was_asked(refusal(code, status))


def test_what_rests_in_the_groups_own_pool_is_not_ours_and_what_leaves_drains() -> None:
    lives = {
        "i-1": "InService",
        "i-2": "Terminating:Wait",
        "i-3": "Warmed:Stopped",
        "i-4": "Pending",
        "i-6": "InService",
    }
    standing = as_standing(
        {
            "DesiredCapacity": 2,
            "MaxSize": 9,
            "MinSize": 0,
            "Instances": [
                {"InstanceId": id, "LifecycleState": life, "ProtectedFromScaleIn": id == "i-1"}
                for id, life in lives.items()
            ],
            "Tags": [{"Key": "facefleet:token:abc", "Value": "5"}, {"Key": "Name", "Value": "x"}],
        }
    )
    assert standing.members == {"i-1", "i-4", "i-6"}
    assert standing.unprotected == ("i-6",)
    assert standing.waiting == {"abc": 5.0}
    ec2 = {"i-1": "running", "i-2": "running", "i-3": "stopped", "i-4": "pending", "i-5": "shutting-down"}
    there = {id: listed(id, state) for id, state in ec2.items()}
    dropped, new = listed("i-7", "running", **{TOKEN: "abc"}), listed("i-8", "running")
    seen = ours(there | {"i-7": dropped, "i-8": new}, standing)
    assert {id: one.instance.state for id, one in seen.items()} == {
        "i-1": InstanceState.RUNNING,
        "i-2": InstanceState.DRAINING,
        "i-4": InstanceState.PENDING,
        "i-5": InstanceState.STOPPING,
        "i-7": InstanceState.DRAINING,
    }


NOW = ("lt-1", "2")


def made_from(id: str, template: str, version: str, state: str = "running") -> Listed:
    return listed(id, state, **{TEMPLATE: template, VERSION: version})


@pytest.mark.parametrize(
    ("tags", "now", "is_stale"),
    [
        ({TEMPLATE: "lt-1", VERSION: "2"}, NOW, False),
        ({TEMPLATE: "lt-1", VERSION: "1"}, NOW, True),
        ({TEMPLATE: "lt-1", VERSION: "3"}, NOW, True),
        ({TEMPLATE: "lt-0", VERSION: "2"}, NOW, True),
        ({}, NOW, False),
        ({TEMPLATE: "lt-1"}, NOW, False),
        ({TEMPLATE: "lt-1", VERSION: "1"}, None, False),
    ],
)
def test_who_was_made_of_another_version_is_stale(
    tags: dict[str, str], now: tuple[str, str] | None, *, is_stale: bool
) -> None:
    assert as_made(listed("i-1", "running", **tags), now).instance.is_stale is is_stale


class Templates:
    """EC2's answers about a launch template, and how often it was asked."""

    def __init__(self) -> None:
        self.default, self.asked, self.error = 1, 0, None

    def describe_launch_templates(self, **asked: list[str]) -> dict:
        self.asked += 1
        assert asked == {"LaunchTemplateNames": ["worker"]}
        if self.error:
            raise self.error
        numbers = {"DefaultVersionNumber": self.default, "LatestVersionNumber": 9}
        return {"LaunchTemplates": [{"LaunchTemplateId": "lt-1", **numbers}]}


@dataclass
class Looks:
    """A fleet that is looked at again and again."""

    ec2: Templates = field(default_factory=Templates)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.versions = Versions(self.ec2, lambda: self.now)

    def stale(self, *made: str, version: str = "$Default") -> list[str]:
        fleet = {f"i-{of}": made_from(f"i-{of}", "lt-1", of) for of in made}
        told = self.versions.told(fleet, name="worker", version=version)
        return [id for id, one in told.items() if one.instance.is_stale]


def test_the_template_is_asked_for_once_a_minute_and_when_something_new_is_seen() -> None:
    looks = Looks()
    assert looks.stale() == [] and looks.ec2.asked == 0, "of nobody there is nothing to ask"
    assert [looks.stale("1") for _ in range(9)] == [[]] * 9
    assert looks.ec2.asked == 1
    looks.ec2.default = 2
    assert looks.stale("1") == [], "that is not known yet"
    assert looks.stale("1", "2") == ["i-1"]
    assert looks.ec2.asked == 2
    assert looks.stale("1") == ["i-1"] and looks.ec2.asked == 2
    looks.ec2.default, looks.now = 1, ASK_EVERY
    assert looks.stale("1", "2") == ["i-2"], "rolled back"
    assert looks.ec2.asked == 3


def test_where_the_template_cannot_be_seen_nobody_is_stale_and_it_is_asked_for_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks = Looks()
    looks.ec2.default = 2
    assert looks.stale("1") == ["i-1"]
    looks.ec2.error = ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeLaunchTemplates")
    for _ in range(5):
        looks.now += ASK_EVERY / 2
        looks.stale("1")
    assert (looks.stale("1"), looks.ec2.asked) == ([], 3)
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1, "told once"
    looks.ec2.error, looks.now = None, looks.now + ASK_EVERY
    assert looks.stale("1") == ["i-1"]


def test_a_group_may_name_a_number_or_the_latest() -> None:
    assert Looks().stale("1", "9", version="$Latest") == ["i-1"]
    assert Looks().stale("1", "9", version="1") == ["i-9"]


@given(FLEETS, st.lists(IDS, min_size=1), st.sets(IDS), st.integers(0, 5))
def test_a_stale_one_takes_no_fresh_ones_place_in_the_pool(
    fleet: dict[str, Listed], ids: list[str], old: set[str], pool: int
) -> None:
    aged = {
        id: as_made(replace(one, tags={TEMPLATE: "lt", VERSION: str(id in old)}), ("lt", "False"))
        for id, one in fleet.items()
    }
    asked = [id for id in ids if id not in old]
    without = how_to_leave({id: one for id, one in aged.items() if id not in old}, asked, pool)
    assert how_to_leave(aged, asked, pool) == without
    leaving = how_to_leave(aged, ids, pool)
    stale_at_rest = [id for id in leaving.stop if id in old]
    resting = sum(one.state in IN_POOL for one in fleet.values())
    assert not stale_at_rest or resting + len(stale_at_rest) <= pool
    for id in too_many(aged, pool):
        assert id in old or not any(
            o in old and o not in too_many(aged, pool) for o, one in aged.items() if one.state == "stopped"
        )


def test_what_may_rest_is_no_spot_instance() -> None:
    settings = Settings(instance_types="a,b", spot_share=0.5, warm_pool=2)
    assert Ec2Fleet(None, settings).can_rest == ("a", "b")
    assert Ec2Fleet(None, replace(settings, warm_pool=0)).can_rest == ()


def mixed(*overrides: dict) -> dict:
    """A group of several types; each override may have a launch template of its own."""
    template = {"LaunchTemplateSpecification": {"LaunchTemplateId": "lt-2", "Version": "7"}}
    return {"MixedInstancesPolicy": {"LaunchTemplate": template | {"Overrides": list(overrides)}}}


@pytest.mark.parametrize(
    ("described", "template"),
    [
        ({}, {}),
        ({"LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "$Latest"}}, {"id": "lt-1", "version": "$Latest"}),
        ({"LaunchTemplate": {"LaunchTemplateId": "lt-1"}}, {"id": "lt-1", "version": "$Default"}),
        (mixed(), {"id": "lt-2", "version": "7"}),
        (mixed({"InstanceType": "t3.medium"}), {"id": "lt-2", "version": "7"}),
        (mixed({"InstanceType": "t3.medium"}, {"LaunchTemplateSpecification": {"LaunchTemplateId": "lt-3"}}), {}),
    ],
)
def test_a_group_says_what_it_launches(described: dict, template: dict[str, str]) -> None:
    group = {"Instances": [], "DesiredCapacity": 0, "MaxSize": 1, "MinSize": 0} | described
    assert as_standing(group).template == template

"""A whole roll on machines that die when it suits least: never without one that answers, and always to an end."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet.backends.aws.account import rolling
from facefleet.backends.aws.account.rolling import Overdue, Pace, TakenBack, roll
from facefleet.backends.aws.account.rollout import Action, Canary, Group, Machine, Verb, Way, World
from facefleet.backends.aws.account.stack_told import Unchanged
from facefleet.backends.aws.faults import Expired
from facefleet.errors import Conflict, ServiceError, Throttled, Unavailable

PATIENCE = 60.0
OLD, NEW = 1, 2


class Killed(BaseException):
    """Whoever ran the command is gone, in the middle of it."""


@dataclass
class Stood:
    id: str
    version: int
    launched_at: float
    up_at: float
    going: bool = False
    #: It had the address once: it was ready.
    has_served: bool = False


@dataclass
class Cloud:
    """Two groups of one, an address, a stack. `works`: the versions whose machines come up; `mute`: those whose web
    tier is ready, and yet answers no upload."""

    works: set[int] = field(default_factory=lambda: {OLD, NEW})
    mute: set[int] = field(default_factory=set)
    takes_updates: bool = True
    #: What the first calls that update are answered with.
    refusals: list[ServiceError] = field(default_factory=list)
    now: float = 0.0
    made: int = 0
    version: int = OLD
    default: int = OLD
    desired: dict[str, int] = field(default_factory=lambda: {"controller": 1, "web": 1})
    machines: dict[str, list[Stood]] = field(default_factory=lambda: {"controller": [], "web": []})
    address: str = ""
    canary_since: float | None = None

    def __post_init__(self) -> None:
        for _ in range(10):
            self.sleep(2.0)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for name, group in self.machines.items():
            group[:] = [one for one in group if not one.going]
            while len(group) < self.desired[name]:
                self.made += 1
                group.append(Stood(f"{name}-{self.made}", self.version, self.now, self.now + 5.0))
        self._take_address()

    def _take_address(self) -> None:
        """As a machine does for itself: once it is ready, and not from one that came after it."""
        holder = self.holder
        for one in self.machines["web"]:
            is_ready = one.version in self.works and self.now >= one.up_at + 5.0
            if is_ready and not one.has_served and (holder is None or holder.launched_at < one.launched_at):
                self.address, one.has_served, holder = one.id, True, one

    @property
    def holder(self) -> Stood | None:
        return next((one for one in self.machines["web"] if one.id == self.address and not one.going), None)

    def kill(self, name: str, number: int) -> None:
        group = self.machines[name]
        if group:
            del group[number % len(group)]

    def group(self, name: str, wanted: int) -> Group:
        standing = [one for one in self.machines[name] if not one.going]
        machines = [Machine(m.id, m.version == wanted, self.now >= m.up_at, m.launched_at) for m in standing]
        return Group(tuple(machines), self.desired[name])


@dataclass
class Site:
    """What one run of the command sees and does; `accidents`: what happens before the look of this number."""

    cloud: Cloud
    wanted: int
    before: int | None
    accidents: dict[int, tuple[str, int]] = field(default_factory=dict)
    looks: int = 0
    deeds: list[Action] = field(default_factory=list)
    have_had: frozenset[str] = frozenset()

    def look(self) -> World:
        self.looks += 1
        kind, number = self.accidents.get(self.looks, ("", 0))
        if kind == "killed":
            raise Killed
        if kind == "throttled":
            raise Throttled("too often")
        if kind:
            self.cloud.kill(kind, number)
        if self.have_had and "web" not in {kind for kind, _ in self.accidents.values()}:
            assert self.cloud.holder is not None, "somebody has the address all the time"
        return self._seen()

    def _seen(self) -> World:
        cloud = self.cloud
        webs, controllers = cloud.group("web", cloud.version), cloud.group("controller", cloud.version)
        holder = cloud.holder
        alone = cloud.machines["controller"][0] if len(cloud.machines["controller"]) == 1 else None
        return World(
            cloud.version == self.wanted,
            cloud.default == cloud.version,
            controllers,
            webs,
            canary=self._canary(),
            address=holder.id if holder else "",
            have_had=self._seen_with(holder),
            stands_by=any(one.fits and one.is_up for one in controllers.machines) and cloud.version in cloud.works,
            leads=alone is not None and alone.version in cloud.works,
            trouble="" if holder is not None and holder.version in cloud.works - cloud.mute else "no answer",
        )

    def _seen_with(self, holder: Stood | None) -> frozenset[str]:
        self.have_had |= {holder.id} if holder else set()
        return self.have_had

    def _canary(self) -> Canary:
        if self.cloud.canary_since is None:
            return Canary.NONE
        works = self.wanted in self.cloud.works and self.cloud.now > self.cloud.canary_since + 10.0
        return Canary.WORKS if works else Canary.COMING

    def do(self, action: Action) -> None:
        self.deeds.append(action)
        getattr(self, action.verb.name.lower())(action)

    def launch_canary(self, _: Action) -> None:
        self.cloud.canary_since = self.cloud.now

    def end_canary(self, _: Action) -> None:
        self.cloud.canary_since = None

    def update(self, _: Action) -> None:
        if self.cloud.refusals:
            raise self.cloud.refusals.pop()
        if not self.cloud.takes_updates and self.wanted == NEW:
            raise Unchanged("the stack was not changed")
        self.cloud.version = self.wanted

    def set_default(self, _: Action) -> None:
        self.cloud.default = self.cloud.version

    def grow(self, action: Action) -> None:
        self.cloud.desired[self._name(action)] = 2

    def retire(self, action: Action) -> None:
        name = self._name(action)
        assert self.cloud.desired[name] == 2, "a group of one is never made one of none"
        assert name == "controller" or action.subject != self.cloud.address, "who answers is never ended"
        self.cloud.desired[name] = 1
        next(one for one in self.cloud.machines[name] if one.id == action.subject).going = True

    def move_address(self, action: Action) -> None:
        one = next(one for one in self.cloud.machines["web"] if one.id == action.subject)
        assert one.has_served, "the address is given to one alone that has had it"
        self.cloud.address = one.id

    def turn_back(self) -> str:
        if self.before is None:
            return ""
        self.wanted, self.before = self.before, None
        return "what was before"

    def _name(self, action: Action) -> str:
        return "web" if "web" in action.stage else "controller"


TRYING = Way(tries=True)


def run(site: Site, way: Way = TRYING) -> None:
    roll(site, way, pace=Pace(PATIENCE, lambda: site.cloud.now, site.cloud.sleep))


def versions(cloud: Cloud) -> dict[str, list[int]]:
    return {name: [one.version for one in group if not one.going] for name, group in cloud.machines.items()}


def all_of(version: int) -> dict[str, list[int]]:
    return {"controller": [version], "web": [version]}


def test_a_new_version_that_works_replaces_all_and_again_does_nothing() -> None:
    cloud = Cloud()
    run(Site(cloud, NEW, OLD))
    assert versions(cloud) == all_of(NEW) and cloud.default == NEW and cloud.canary_since is None
    again = Site(cloud, NEW, None)
    run(again)
    assert again.deeds == []


def test_where_the_first_worker_does_not_come_nothing_else_was_touched() -> None:
    cloud = Cloud(works={OLD})
    with pytest.raises(TakenBack, match="a worker from the new image"):
        run(site := Site(cloud, NEW, OLD))
    assert [action.verb for action in site.deeds] == [Verb.LAUNCH_CANARY, Verb.END_CANARY]


def test_a_version_that_does_not_answer_is_taken_back_and_the_old_machine_was_never_without_address() -> None:
    cloud = Cloud(works={OLD})
    web = cloud.machines["web"][0].id
    with pytest.raises(TakenBack, match="the controller"):
        run(Site(cloud, NEW, OLD), Way())
    assert versions(cloud) == all_of(OLD) and cloud.default == OLD and cloud.address == web


def test_one_that_is_ready_and_answers_no_upload_gives_the_address_back_before_anything_else() -> None:
    cloud = Cloud(mute={NEW})
    web = cloud.machines["web"][0].id
    with pytest.raises(TakenBack, match="the web tier: not within 60 s until it answers an upload"):
        run(site := Site(cloud, NEW, OLD))
    verbs = [action.verb for action in site.deeds]
    assert verbs.index(Verb.MOVE_ADDRESS) == verbs.index(Verb.UPDATE, verbs.index(Verb.UPDATE) + 1) - 1
    assert versions(cloud) == all_of(OLD) and cloud.address == web


def test_an_update_that_the_stack_does_not_take_is_told_at_once() -> None:
    cloud = Cloud(takes_updates=False)
    with pytest.raises(TakenBack, match="the stack was not changed"):
        run(Site(cloud, NEW, OLD))
    assert versions(cloud) == all_of(OLD) and cloud.now < PATIENCE


def test_an_update_that_somebody_else_is_in_the_way_of_is_tried_again() -> None:
    cloud = Cloud(refusals=[Unavailable("somebody else changes it")])
    run(Site(cloud, NEW, OLD))
    assert versions(cloud) == all_of(NEW)


@pytest.mark.parametrize("refusal", [Expired("no longer good"), Conflict("somebody else's")], ids=["expired", "theirs"])
def test_where_no_way_back_could_be_gone_or_it_is_somebody_elses_it_ends_at_once(refusal: ServiceError) -> None:
    cloud = Cloud(refusals=[refusal])
    began = cloud.now
    with pytest.raises(type(refusal)):
        run(site := Site(cloud, NEW, OLD), Way())
    assert site.wanted == NEW and cloud.now == began, "it neither waits nor goes back"


def test_without_anything_before_there_is_no_way_back() -> None:
    with pytest.raises(Overdue, match="the controller: not within 60 s until it leads"):
        run(Site(Cloud(works=set(), version=NEW, default=NEW), NEW, None), Way())


def test_the_way_back_takes_its_time_however_short_the_patience_with_what_is_new() -> None:
    cloud = Cloud(works={OLD})
    cloud.sleep(5.0)
    site = Site(cloud, NEW, OLD, {3: ("controller", 0)})
    with pytest.raises(TakenBack, match="not within 1 s"):
        roll(site, Way(), pace=Pace(1.0, lambda: cloud.now, cloud.sleep))
    assert versions(cloud) == all_of(OLD)


def test_where_the_way_back_fails_too_both_reasons_are_told() -> None:
    cloud = Cloud()
    cloud.works = set()
    with pytest.raises(Unavailable, match=r"the controller.*And the way back .*: go on with what was before"):
        run(Site(cloud, NEW, OLD), Way())


accidents = st.dictionaries(
    st.integers(1, 40),
    st.tuples(st.sampled_from(["web", "controller", "killed", "throttled"]), st.integers(0, 1)),
    max_size=5,
)


@given(accidents, st.sampled_from(["works", "mute", "dead"]), st.booleans())
def test_whatever_dies_when_it_ends_with_machines_that_answer(
    accidents: dict[int, tuple[str, int]], new: str, tries: bool
) -> None:
    new_works = new == "works"
    cloud = Cloud(works={OLD} if new == "dead" else {OLD, NEW}, mute={NEW} if new == "mute" else set())
    way = Way(tries=tries)
    site = Site(cloud, NEW, OLD, accidents)
    for _ in range(len(accidents) + 1):
        try:
            run(site, way)
            break
        except Killed:
            # Run again by hand, a moment later. It knows what was before no more where the stack has changed already.
            cloud.sleep(1.0)
            site = replace(site, wanted=NEW, before=OLD, deeds=[], have_had=frozenset())
        except ServiceError:
            break
    assert cloud.now < 40 * rolling.PATIENCE
    run(Site(cloud, NEW if new_works and site.wanted == NEW else OLD, None), Way(back=not new_works))
    settled = NEW if new_works and site.wanted == NEW else OLD
    assert versions(cloud) == all_of(settled)
    assert cloud.holder is not None and cloud.holder.version == settled


@given(st.lists(st.integers(1, 30), max_size=4))
def test_killed_anywhere_and_run_again_it_ends_as_if_nothing_had_been(kills: list[int]) -> None:
    cloud = Cloud()
    for kill in kills:
        try:
            run(Site(cloud, NEW, OLD, {kill: ("killed", 0)}))
        except Killed:
            assert cloud.holder is not None, "somebody answers all the time"
    run(Site(cloud, NEW, OLD))
    assert versions(cloud) == all_of(NEW)

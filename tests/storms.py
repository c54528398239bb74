"""Storms over controllers: Hypothesis draws what a cloud, its instances and its callers suffer, in any order."""

from dataclasses import replace
from typing import Any

from clouds import Clock, Cloud
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from lines import Fault
from loops import Paused, Process, Shelf
from machines import Flaw

from controller.classic import CLASSIC
from controller.policy import Policy, Terms
from controller.steps import Limits

LIMITS = Limits(pending=200.0, draining=120.0, boot=45.0)
HOLD = 10.0
#: Seconds within which a fleet is as it should be once nothing goes wrong any more: the longest waits of the loop, one
#: behind the other: pending too long, an offer excluded, a back-off, a drain, an instance that does not stop.
SETTLED = 1200.0
#: Which of several; taken modulo their number.
PICK = st.integers(0, 9)
FAULTS = st.lists(st.sampled_from(Fault), min_size=1, max_size=8)
VERBS = ("instances", "depth", "heartbeats", "launch", "start", "retire", "end", "tagged", "put_if")


def processes_of(cloud: Cloud, policy: Policy[Any], least: int, *names: str, warm: int = 0) -> list[Process]:
    shelf, terms, limits = Shelf(), Terms(least, cloud.most, HOLD), replace(LIMITS, warm_least=warm)
    return [Process(name, cloud, shelf, policy, terms, limits) for name in names]


class Storm(RuleBasedStateMachine):
    """Controllers over one saved state, each begun anew whenever it is killed, and paused before any call."""

    policy: Policy[Any] = CLASSIC
    names: tuple[str, ...] = ("one",)

    @initialize(
        bounds=st.tuples(st.integers(0, 1), st.integers(1, 4)),
        pool=st.tuples(st.integers(0, 2), st.integers(0, 2)),
        settles_after=st.sampled_from((0.0, 5.0, 20.0)),
        boot=st.sampled_from((1.0, 45.0)),
        service=st.sampled_from((0.5, 7.0, 40.0)),
        jobs=st.integers(0, 9),
    )
    def begin(
        self,
        bounds: tuple[int, int],
        pool: tuple[int, int],
        settles_after: float,
        boot: float,
        service: float,
        jobs: int,
    ) -> None:
        (self.least, most), self.warm = bounds, min(pool) if bounds[0] < bounds[1] else 0
        self.cloud = Cloud(Clock(), most, settles_after=settles_after, pool=max(pool), boot=boot, service=service)
        self.cloud.boot_timeout, self.cloud.drain_timeout = LIMITS.pending, LIMITS.draining
        self.cloud.arrive(jobs)
        self.processes = processes_of(self.cloud, self.policy, self.least, *self.names, warm=self.warm)
        self.paused: dict[str, Paused] = {}

    @rule(pick=PICK, ticks=st.integers(1, 10), pause=st.sampled_from((0.1, 1.0, 7.0, 30.0)))
    def one_ticks(self, pick: int, ticks: int, pause: float) -> None:
        for _ in range(ticks):
            self.cloud.advance(pause)
            if self._one(pick).name not in self.paused:
                self._one(pick).tick()

    @rule(jobs=st.integers(0, 8), ticks=st.integers(1, 40))
    def jobs_arrive_and_all_tick(self, jobs: int, ticks: int) -> None:
        self.cloud.arrive(jobs)
        for i in range(ticks * len(self.names)):
            self.one_ticks(i, 1, 5.0)

    @rule(pick=PICK, faults=FAULTS)
    def one_ticks_amid_faults(self, pick: int, faults: list[Fault]) -> None:
        self._one(pick).line.faults.extend(faults)
        self.one_ticks(pick, 1, 1.0)

    @rule(pick=PICK, verbs=st.sets(st.sampled_from(VERBS), max_size=3))
    def these_calls_fail_from_now_on(self, pick: int, verbs: set[str]) -> None:
        self._one(pick).line.dead = frozenset(verbs)

    @rule(pick=PICK)
    def one_is_killed(self, pick: int) -> None:
        process = self._one(pick)
        if paused := self.paused.pop(process.name, None):
            paused.kill()
        process.kill()

    @rule(jobs=st.integers(1, 8))
    def jobs_arrive(self, jobs: int) -> None:
        self.cloud.arrive(jobs)

    @rule(seconds=st.sampled_from((3.0, 40.0, 400.0)))
    def time_passes(self, seconds: float) -> None:
        self.cloud.advance(seconds)

    @rule(flaws=st.lists(st.sampled_from(Flaw), max_size=4), boots=st.lists(st.sampled_from((1.0, 90.0)), max_size=4))
    def the_next_come_up_so(self, flaws: list[Flaw], boots: list[float]) -> None:
        self.cloud.flaws.extend(flaws)
        self.cloud.boots.extend(boots)

    @rule(lags=st.lists(st.sampled_from((0.0, 1.0, 4.0, 20.0)), max_size=5))
    def lists_are_so_old(self, lags: list[float]) -> None:
        self.cloud.lags.clear()
        self.cloud.lags.extend(lags)

    @rule(short=st.sets(st.sampled_from(("large", "small"))))
    def these_are_sold_out(self, short: set[str]) -> None:
        self.cloud.short = short

    @rule(works=st.booleans())
    def something_newer_is_launched_from_now_on(self, works: bool) -> None:
        self.cloud.upgrade(works=works)

    @rule()
    def it_is_rolled_back(self) -> None:
        self.cloud.roll_back()

    @rule(tells=st.booleans())
    def the_version_is_known_or_not(self, tells: bool) -> None:
        self.cloud.tells_version = tells

    @rule(pick=PICK)
    def an_instance_dies(self, pick: int) -> None:
        self.cloud.crash(pick)

    @rule(pick=PICK)
    def a_worker_falls_silent(self, pick: int) -> None:
        self.cloud.silence(pick)

    @rule(pick=PICK)
    def a_worker_drains_unasked(self, pick: int) -> None:
        self.cloud.notice(pick)

    @invariant()
    def nothing_is_wrong(self) -> None:
        if hasattr(self, "cloud"):
            assert not self.cloud.wrongs, self.cloud.wrongs

    def teardown(self) -> None:
        if hasattr(self, "cloud"):
            for i in range(len(self.names)):
                self.calm(i)
            come_to_rest(self.cloud, self.processes, self.least, warm=self.warm)

    def calm(self, pick: int) -> None:
        process = self._one(pick)
        if paused := self.paused.pop(process.name, None):
            while not paused.over:
                paused.go_on()
        self.cloud.heal()
        process.line.faults.clear()
        process.line.dead = frozenset()

    def _one(self, pick: int) -> Process:
        return self.processes[pick % len(self.processes)]


class Two(Storm):
    names = ("one", "two")

    @rule(pick=PICK, calls=st.integers(1, 8))
    def one_is_paused_in_a_tick(self, pick: int, calls: int) -> None:
        process = self._one(pick)
        if process.name in self.paused:
            return
        paused = self.paused[process.name] = Paused(process.tick)
        process.line.waits = paused.wait
        for _ in range(calls):
            self._goes_on(process)

    @rule(pick=PICK, calls=st.integers(1, 8))
    def one_goes_on(self, pick: int, calls: int) -> None:
        for _ in range(calls):
            self._goes_on(self._one(pick))

    def _goes_on(self, process: Process) -> None:
        if paused := self.paused.get(process.name):
            paused.go_on()
            if paused.over:
                del self.paused[process.name]


def come_to_rest(cloud: Cloud, processes: list[Process], least: int, *, warm: int = 0, pause: float = 5.0) -> None:
    """Nothing goes wrong any more and nobody comes: every job gets done, the least stay, and nobody else who is up.

    Nor does anything stale stay, and the warm pool is ready.
    """
    end = cloud.clock.now + SETTLED + cloud.depth().backlog * cloud.service
    while cloud.clock.now < end and not is_at_rest(cloud, least, warm):
        cloud.advance(pause)
        for process in processes:
            process.tick()
    assert not cloud.wrongs, cloud.wrongs
    assert is_at_rest(cloud, least, warm), (cloud.depth(), cloud.machines, processes[0].told)


def is_at_rest(cloud: Cloud, least: int, warm: int = 0) -> bool:
    working = [m for m in cloud.up() if m.is_ready]
    fresh = [m for m in cloud.living() if not cloud.is_stale(m)]
    is_calm = not cloud.depth().backlog and len(cloud.up()) == len(working) == least
    return is_calm and len(cloud.living()) == len(fresh) >= warm

"""Looking: what workers say is counted worker by worker, and heard for as long as somebody speaks."""

from dataclasses import dataclass, replace

import pytest
from clouds import Clock, Cloud
from places import LIMITS, TERMS

from controller.ledger import Ledger
from controller.observe import SHOWN, Observer
from facefleet.model import Heartbeat, WorkerState

START = 1_000_000.0


@dataclass
class Hall:
    """Workers that speak as the test says, and who looks at them; `reads`: how often they were read."""

    voices: tuple[Heartbeat, ...] = ()
    reads: int = 0

    def __post_init__(self) -> None:
        self.observer = Observer(Cloud(Clock()), self.heartbeats, TERMS, LIMITS, lambda: 1.0, Ledger())

    def heartbeats(self) -> tuple[Heartbeat, ...]:
        self.reads += 1
        return self.voices

    def look(self, now: float, *voices: Heartbeat) -> None:
        self.voices = voices
        self.observer.look(Ledger(), now)

    @property
    def done(self) -> int:
        return self.observer.estimates.done


def said(id: str, jobs: int, at: float, *, since: float = START, service: float = 1.0) -> Heartbeat:
    return Heartbeat(id, WorkerState.IDLE, jobs, since, at, service)


@pytest.mark.parametrize(
    ("left", "new"),
    [(said("i-1.0", 31, START + 2), 1), (said("i-1.1", 30, START + 2), 0)],
)
def test_who_stays_when_a_worker_of_its_instance_ends_has_not_begun_anew(left: Heartbeat, new: int) -> None:
    hall = Hall()
    hall.look(START, said("i-1.0", 30, START), said("i-1.1", 30, START))
    hall.look(START + 2, left)
    assert hall.done == new


def test_a_worker_that_begins_anew_counts_from_zero_and_the_one_beside_it_goes_on() -> None:
    hall = Hall()
    hall.look(START, said("i-1.0", 30, START), said("i-1.1", 40, START))
    hall.look(START + 2, said("i-1.0", 2, START + 2, since=START + 1), said("i-1.1", 41, START + 2))
    assert hall.done == 3


def test_a_job_takes_an_instance_as_many_times_less_as_it_has_workers_also_when_one_of_them_has_ended() -> None:
    hall = Hall()
    hall.look(START, said("i-1.0", 0, START), said("i-1.1", 0, START))
    hall.look(START + 2, said("i-1.0", 2, START + 2), said("i-1.1", 2, START + 2))
    assert hall.observer.estimates.service.mean == pytest.approx(0.5)
    hall.look(START + 4, said("i-1.0", 20, START + 4))
    assert hall.observer.estimates.service.mean == pytest.approx(0.5)


def test_workers_under_no_fleet_are_shown_without_a_gap_as_long_as_they_speak() -> None:
    hall, beat = Hall(), said("pi", 0, START)
    for second in range(120):
        now = START + second
        # As a worker repeats what it said.
        beat = replace(beat, at=now - (now + 2.0) % 5.0)
        hall.look(now, beat)
        assert [worker.id for worker in hall.observer.workers] == ["pi"]


def test_where_nobody_is_up_or_has_spoken_lately_few_reads_are_paid_for() -> None:
    hall = Hall()
    for second in range(120):
        hall.look(START + second)
    assert hall.reads <= 1 + 120 / SHOWN

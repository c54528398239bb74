"""One voice for each instance, however many workers it runs."""

from hypothesis import given
from hypothesis import strategies as st

from controller.workers import by_instance
from facefleet.model import Heartbeat, WorkerState

IDLE, BUSY, DRAINING = WorkerState


def beat(id: str, state: WorkerState = IDLE, jobs: int = 0, since: float = 1.0, at: float = 2.0) -> Heartbeat:
    return Heartbeat(id, state, jobs, since, at, 0.4 if jobs else 0.0)


def test_the_workers_of_an_instance_speak_as_one() -> None:
    first, second = beat("i-1.0", BUSY, 3, since=10.0, at=20.0), beat("i-1.1", IDLE, 1, since=11.0, at=19.0)
    (one,) = by_instance([first, second])
    assert (one.id, one.state, one.jobs, one.since, one.at) == ("i-1", BUSY, 4, 10.0, 20.0)
    assert one.service_seconds == 0.2, "two cores do a job in half the time"


def test_a_worker_alone_is_its_instance() -> None:
    alone = beat("app-tier-instance-0a", BUSY, 3)
    assert by_instance([alone]) == (alone,)
    assert by_instance([beat("i-1.0", BUSY, 3)]) == (beat("i-1", BUSY, 3),)


def test_a_host_name_with_dots_is_no_group() -> None:
    hosts = [beat("pi.local-12"), beat("pi.local-13"), beat("lab.example.org")]
    assert by_instance(hosts) == tuple(hosts)


def test_an_instance_drains_once_all_its_workers_do() -> None:
    states = {
        (DRAINING, DRAINING): DRAINING,
        (DRAINING, IDLE): IDLE,
        (DRAINING, BUSY): BUSY,
        (IDLE, IDLE): IDLE,
    }
    for (first, second), together in states.items():
        (one,) = by_instance([beat("i-1.0", first), beat("i-1.1", second)])
        assert one.state is together


@given(jobs=st.lists(st.integers(0, 1000), min_size=1, max_size=6))
def test_an_instance_has_done_what_its_workers_have(jobs: list[int]) -> None:
    (one,) = by_instance([beat(f"i-1.{number}", jobs=done) for number, done in enumerate(jobs)])
    assert one.jobs == sum(jobs)
    assert one.jobs * one.service_seconds <= 0.4 * sum(jobs) / len(jobs) + 1e-9

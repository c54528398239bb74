"""Simulated workers take jobs as real ones do: compared with a simulation that looks at every moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.simulation.crowd import Crowd

#: Moments are whole numbers here, so that both sides see the same ones.
MOMENTS = 60


def moment_by_moment(arrivals: list[int], services: list[int], joins: list[int], leaves: dict[int, int]) -> list[int]:
    """When each job starts, looked up second by second; -1 for never. Whom a job goes to is whoever is idle longest."""
    free: dict[int, int] = {}
    starts, waiting, left = [-1] * len(arrivals), [], set()
    for now in range(MOMENTS):
        for number, at in enumerate(joins):
            if at == now:
                free[number] = now
        # Who leaves at a moment may still have taken what came just then.
        waiting += [job for job, at in enumerate(arrivals) if at == now]
        while waiting and (idle := [n for n, at in free.items() if at <= now and n not in left]):
            number, job = min(idle, key=lambda n: (free[n], n)), waiting.pop(0)
            starts[job], free[number] = now, now + services[job]
        left |= {number for number, at in leaves.items() if at == now}
    return starts


@given(
    arrivals=st.lists(st.integers(0, 30), max_size=25).map(sorted),
    service=st.lists(st.integers(1, 5), min_size=25, max_size=25),
    joins=st.lists(st.integers(0, 20), min_size=1, max_size=4).map(sorted),
    leave=st.none() | st.integers(21, 30),
)
def test_jobs_start_when_a_worker_is_free_the_earliest_first(
    arrivals: list[int], service: list[int], joins: list[int], leave: int | None
) -> None:
    crowd = Crowd(arrivals, service[: len(arrivals)])
    for at in joins:
        crowd.serve(at)
        crowd.join(at)
    leaves = {}
    if leave is not None:
        crowd.serve(leave)
        crowd.leave([0], leave)
        leaves = {0: leave}
    crowd.serve(MOMENTS - 1)
    starts = moment_by_moment(arrivals, service, joins, leaves)
    expected = [start - arrival for start, arrival in zip(starts, arrivals, strict=True) if start >= 0]
    assert sorted(crowd.waits[: len(expected)]) == sorted(expected)
    assert crowd.through == (-1 not in starts)


def test_a_job_that_was_cut_off_comes_again_after_its_lease_and_waited_from_its_arrival_on() -> None:
    crowd = Crowd([0.0, 1.0], [10.0, 10.0])
    first = crowd.join(0.0)
    crowd.serve(1.0)
    assert (crowd.busy(1.0), crowd.waiting(1.0)) == ({first}, 1)
    assert crowd.cut_off(first, 2.0, comes_again=32.0)
    assert (crowd.waiting(2.0), crowd.leased(2.0), crowd.jobs[first]) == (1, 1, 0)
    crowd.join(20.0)
    crowd.serve(100.0)
    assert list(crowd.waits) == [32.0, 19.0]
    assert crowd.through


def test_who_has_nothing_in_hand_is_through_at_once() -> None:
    crowd = Crowd([5.0], [1.0])
    number = crowd.join(0.0)
    assert crowd.leave([number], 3.0) == {number: 3.0}
    assert not crowd.cut_off(number, 4.0, comes_again=9.0)
    crowd.serve(9.0)
    assert (crowd.waiting(9.0), crowd.oldest(9.0)) == (1, 5.0)


def test_who_leaves_finishes_the_job_in_hand() -> None:
    crowd = Crowd([0.0], [10.0])
    number = crowd.join(0.0)
    crowd.serve(1.0)
    assert crowd.leave([number], 2.0) == {number: pytest.approx(10.0)}
    assert [crowd.busy(at) for at in (9.0, 10.0)] == [{number}, set()]
    assert crowd.jobs[number] == 1

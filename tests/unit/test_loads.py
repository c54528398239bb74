"""Traces read from files, and the loads that are made of them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.simulation import loads
from controller.simulation.traces import BadTrace, Trace, read

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:04.4799600,4808,10
2023-11-16 18:17:03.9799600,3180,8
2023-11-16 18:17:13.9799600,3180,8"""
NAB = """timestamp,value
2015-02-26 21:42:53,104
2015-02-26 21:47:53,0.0
2015-02-26 21:52:53,7
2015-02-26 22:52:53,9
2015-02-26 21:52:53,3
"""
HOUR = 3600.0


def trace_of(folder: Path, text: str) -> Trace:
    path = folder / "mine.csv"
    path.write_text(text)
    return read(path)


def counts(jobs: list[float], length: float = 60.0) -> Trace:
    return Trace("counts", length * np.arange(len(jobs)), np.full(len(jobs), length), np.array(jobs))


def test_a_line_of_azure_s_trace_is_an_arrival_and_the_first_is_at_zero(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, AZURE)
    assert (trace.name, trace.starts.tolist(), trace.jobs.tolist()) == ("mine", [0.0, 0.5, 10.0], [1, 1, 1])
    assert trace.seconds == 10.0


def test_counts_of_one_moment_add_up_and_a_gap_is_not_filled(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, NAB)
    assert trace.starts.tolist() == [0.0, 300.0, 600.0, 4200.0]
    assert trace.jobs.tolist() == [104, 0, 10, 9]
    assert trace.lengths.tolist() == [300.0] * 4


def test_our_own_counts_need_no_date(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "seconds,jobs\n10,5\n20,0.5\n\n30,1\n")
    assert (trace.starts.tolist(), trace.lengths.tolist(), trace.jobs.tolist()) == ([0, 10, 20], [10] * 3, [5, 0.5, 1])


def test_bare_seconds_are_arrivals(tmp_path: Path) -> None:
    assert trace_of(tmp_path, "5\n4.5\n\n7\n").starts.tolist() == [0.0, 0.5, 2.5]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "line 1: 'a,b' is no header that is known"),
        ("hello\n", "line 1: 'hello' is no number"),
        ("1\ninf\n", "line 2: 'inf' is no finite number"),
        ("timestamp,value\nyesterday,1\n", "line 2: 'yesterday' is no time like 2023-11-16 18:17:03"),
        ("timestamp,value\n2015-02-26 21:42:53,1\n\n2015-02-26 21:43:53\n", "line 4: a second value is missing"),
        ("seconds,jobs\n0,1\n1,-3\n", "line 3: '-3' is fewer than none"),
        ("seconds,jobs\n0,1\n", "fewer than two counts"),
        ("seconds,jobs\n0,0\n1,0\n", "counts no job at all"),
        ("TIMESTAMP,Tokens\n", "no arrivals"),
        ("\0", "cannot be read|is no number"),
    ],
)
def test_a_bad_trace_is_refused_with_its_line_and_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadTrace, match=says) as refused:
        trace_of(tmp_path, text)
    assert str(tmp_path / "mine.csv") in str(refused.value)


def test_bytes_that_are_no_text_are_a_bad_trace(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\x89PNG\xff")
    with pytest.raises(BadTrace, match="cannot be read"):
        read(tmp_path / "picture")


@given(jobs=st.lists(st.floats(0, 50), min_size=1, max_size=20), seed=st.integers(0, 9))
def test_every_job_arrives_within_its_interval(jobs: list[float], seed: int) -> None:
    trace = counts([*jobs, 1.0])
    load = loads.load(trace, seed=seed)
    there = np.histogram(load.arrivals, np.append(trace.starts, trace.seconds))[0]
    assert np.all(np.abs(there - trace.jobs) < 1)
    assert np.all(np.diff(load.arrivals) >= 0)


def test_the_seed_alone_decides_when_jobs_arrive() -> None:
    first, again, other = (loads.load(counts([30, 40]), seed=seed).arrivals.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_a_trace_scaled_to_less_than_a_job_is_refused() -> None:
    with pytest.raises(BadTrace, match="has no job"):
        loads.load(loads.scaled(counts([1.0]), 1e-9), seed=1)


def test_the_busiest_window_is_cut_out_and_begins_at_zero() -> None:
    cut = loads.busiest(counts([3, 0, 5, 6, 1, 0, 8]), 180.0)
    assert (cut.starts.tolist(), cut.jobs.tolist()) == ([0.0, 60.0, 120.0], [5, 6, 1])
    assert loads.busiest(cut, 180.0) is cut


@given(jobs=st.lists(st.integers(0, 20), min_size=1, max_size=30), window=st.integers(1, 40))
def test_no_other_window_has_more_jobs(jobs: list[int], window: int) -> None:
    cut = loads.busiest(counts([float(count) for count in jobs]), 60.0 * window)
    assert cut.jobs.sum() == max(sum(jobs[first : first + window]) for first in range(len(jobs)))


def test_for_the_bench_a_trace_of_days_is_cut_to_its_busiest_and_scaled_to_200_000_jobs() -> None:
    (trace,) = loads.for_bench(counts([3.0, 1.0] * 60, length=HOUR))
    assert trace.seconds == loads.DAY
    assert trace.jobs.sum() == pytest.approx(200_000)
    assert trace.jobs[0] == pytest.approx(3 * trace.jobs[1])


def test_for_the_bench_a_trace_of_hours_stays_and_comes_again_at_ten_times_the_rate() -> None:
    as_it_is, more = loads.for_bench(counts([30.0, 10.0], length=HOUR))
    assert (as_it_is.name, as_it_is.jobs.tolist()) == ("counts", [30, 10])
    assert (more.name, more.jobs.tolist()) == ("counts ×10", [300, 100])


def test_ten_times_the_rate_is_never_more_than_200_000_jobs() -> None:
    assert loads.for_bench(counts([50_000.0], length=HOUR))[1].jobs.sum() == pytest.approx(200_000)


def test_copies_of_an_arrival_fall_within_seconds_from_it() -> None:
    single = Trace("one", np.array([0.0, 100.0]), np.zeros(2), np.ones(2))
    arrivals = loads.load(loads.scaled(single, 10), seed=1).arrivals
    assert arrivals.size == len(set(arrivals.tolist())) == 20
    assert arrivals[10] >= 100.0
    assert arrivals[9] < loads.JITTER
    assert arrivals[19] < 100.0 + loads.JITTER


@pytest.mark.parametrize(("jobs", "most"), [(190, loads.FEW), (191, loads.MANY)])
def test_a_peak_that_nineteen_cannot_serve_has_500(jobs: int, most: int) -> None:
    assert loads.enough(np.sort(np.append(np.linspace(50.0, 59.9, jobs), [0.0, 300.0]))) == most


@pytest.mark.parametrize(("name", "jobs", "most"), [("burst", 100, 19), ("bursts", 300, 19), ("step", 30_000, 500)])
def test_made_loads_are_what_the_bench_promises(name: str, jobs: int, most: int) -> None:
    load = loads.load(loads.SYNTHETIC[name](), seed=1)
    assert (load.name, load.arrivals.size, load.most) == (name, jobs, most)


def test_the_step_brings_fifty_a_second_from_the_fifth_to_the_fifteenth_minute() -> None:
    arrivals = loads.load(loads.step(), seed=1).arrivals
    assert 300.0 <= arrivals[0] <= arrivals[-1] <= 900.0
    assert np.histogram(arrivals, 10)[0] == pytest.approx(3000, rel=0.1)


def test_poisson_jobs_come_at_their_rate() -> None:
    assert loads.load(loads.poisson(2.0, 10_000.0, seed=1), seed=1).arrivals.size == pytest.approx(20_000, rel=0.05)


def test_a_day_s_sine_has_twice_the_rate_at_noon_and_none_at_midnight() -> None:
    day = loads.diurnal(1.0, loads.DAY)
    assert day.jobs.sum() == pytest.approx(loads.DAY)
    assert day.jobs[0] == pytest.approx(0, abs=0.01)
    assert day.jobs[720] == pytest.approx(120, rel=0.01)

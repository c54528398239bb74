"""`facefleet simulate` and the bench's sums: figures of simulated runs, told as tables, JSON and a picture."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from bench.autoscaling import BOUND, Outcome, on_traces, overall
from controller.simulation.cloud import World
from controller.simulation.engine import Run as Simulated
from controller.simulation.engine import Timeline
from controller.simulation.picture import waiting
from controller.simulation.report import figures
from facefleet.cli.simulate import simulate

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    return lambda *arguments: CliRunner().invoke(simulate, list(map(str, arguments)))


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text("seconds,jobs\n0,20\n60,0\n120,40\n")
    return path


def test_every_policy_is_told_in_figures(run: Run, trace: Path) -> None:
    done = run(trace, "--policy", "all", "--most", 5, "--price", 3.6, "--json")
    told = json.loads(done.stdout)
    assert (told["load"], told["jobs"], told["most"], told["boot"]) == ("mine", 60, 5, 45.0)
    assert {"priced", "classic", "original", "keda", "target_tracking", "idle_exit", "per_job"} == set(told["policies"])
    for one in told["policies"].values():
        assert one["j"] == pytest.approx(one["instance_seconds"] + 60 * one["wait_mean"], abs=1)
        assert one["j_lp"] >= 1
        assert one["cost"] == pytest.approx(one["instance_seconds"] / 1000, rel=0.01)
        assert one["wait_p50"] <= one["wait_p95"] <= one["wait_p99"]
        assert 1 <= one["most_at_once"] <= 5


def test_the_table_has_a_row_for_each_policy(run: Run, trace: Path) -> None:
    done = run(trace, "--policy", "classic", "--policy", "keda", "--policy", "classic")
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines() if line.split()]
    assert [row[0] for row in rows if row[0] in ("classic", "keda")] == ["classic", "keda"]
    assert "mine: 60 jobs, at most 19 instances" in done.stdout


def test_the_same_seed_gives_the_same_figures(run: Run, trace: Path) -> None:
    same, again, other = (run(trace, "--policy", "keda", "--json", "--seed", seed).stdout for seed in (3, 3, 4))
    assert same == again != other


def test_a_trace_is_cut_and_scaled_as_asked(run: Run, trace: Path) -> None:
    cut = run(trace, "--policy", "classic", "--days", 60 / 86_400, "--jobs", 10, "--json")
    assert json.loads(cut.stdout)["jobs"] == 10


@pytest.mark.parametrize("made", ["poisson", "diurnal"])
def test_loads_are_made_at_the_rate_asked_for(run: Run, made: str) -> None:
    done = run(made, "--rate", 0.5, "--seconds", 86_400, "--policy", "keda", "--json")
    assert json.loads(done.stdout)["jobs"] == pytest.approx(43_200, rel=0.05)


def test_a_warm_pool_shortens_the_wait(run: Run) -> None:
    cold, warm = (
        json.loads(run("burst", *pool, "--json").stdout) for pool in ([], ["--warm", 19, "--warm-boot", 5, "--stop", 9])
    )
    assert (warm["warm"], warm["warm_boot"], warm["stop"]) == (19, 5.0, 9.0)
    assert warm["policies"]["priced"]["wait_p50"] < cold["policies"]["priced"]["wait_p50"] - 20


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_picture_is_drawn(run: Run, trace: Path, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"fleet.{ending}"
    done = run(trace, "--policy", "classic", "--policy", "keda", "--picture", file)
    assert done.exit_code == 0, done.output
    if ending == "svg":
        assert b"<svg" in file.read_bytes()[:1000]
        return
    with Image.open(file) as image:
        assert image.format == "PNG"
        assert image.width > image.height > 500


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing.csv"], "is no file, and none of burst, bursts, step, poisson, diurnal"),
        (["burst", "--policy", "mine"], "'mine' is not one of"),
        (["burst", "--boot", "nan"], "no number of this kind"),
        (["burst", "--service", "0"], "0.0 is not in the range"),
        (["burst", "--zombies", "1"], "1.0 is not in the range"),
        (["burst", "--picture", "fleet.gif"], "must end in .png or .svg"),
        (["burst", "--picture", "no/such/folder/fleet.png"], "there is no folder"),
        (["poisson", "--rate", "1e5"], "more than 10000000 jobs"),
    ],
)
def test_wrong_usage_is_told_before_anything_runs(run: Run, arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in " ".join(done.stderr.split())


def test_a_trace_of_too_many_jobs_is_refused_with_what_to_do(run: Run, trace: Path) -> None:
    trace.write_text("seconds,jobs\n0,1e9\n60,1\n")
    assert "scale it with --jobs" in run(trace).stderr
    assert run(trace, "--jobs", 50, "--policy", "classic").exit_code == 0


def test_help_shows_examples(run: Run) -> None:
    assert "facefleet simulate burst --boot 25" in run("--help").stdout


def simulated(waits: list[float]) -> Simulated:
    none = np.zeros(0, int)
    timeline = Timeline(np.zeros(0), none, none, none, none)
    return Simulated(np.array(waits), 100.0, starts=2, killed=1, lost=0, ceiling=2, finished=50.0, timeline=timeline)


def test_a_run_s_cost_is_what_is_paid_and_what_is_waited() -> None:
    told = figures("mine", simulated([0.0, 1.0, 9.0]), World(wait_price=2.0), bound=60.0, price=36.0)
    assert (told.j, told.j_lp, told.cost, told.wait_p50, told.wait_mean) == (120.0, 2.0, 1.0, 1.0, 3.33)
    assert (told.starts, told.killed, told.most_at_once, told.jobs) == (2, 1, 2, 3)


def test_waiting_is_shown_by_arrival() -> None:
    at, median, longest = waiting(np.array([0.0, 0.0, 0.0, 90.0]), np.array([1.0, 2.0, 6.0, 4.0]), 100.0)
    assert (at.tolist(), median.tolist(), longest.tolist()) == ([0, 90], [2, 4], [6, 4])


#: By trace and policy, J of the seeds 1 and 2; the bound is 10 everywhere.
JS = {"calm": {"ours": (10, 20), "theirs": (30, 30)}, "storm": {"ours": (30, 30), "theirs": (20, 30)}}


def test_the_bench_compares_with_each_trace_s_best() -> None:
    found = [
        Outcome(trace, seed, policy, j, killed=2, ceiling=20 * seed, most=30)
        for trace, policies in JS.items()
        for policy, js in (*policies.items(), (BOUND, (10, 10)))
        for seed, j in enumerate(js, 1)
    ]
    by_trace = on_traces(found)
    assert (by_trace["calm"]["ours"].j_lp, by_trace["calm"]["ours"].seeds) == (1.5, [1.0, 2.0])
    assert by_trace["calm"]["theirs"].vs_best == 2.0
    ours, theirs = overall(found, by_trace).values()
    assert (ours.mean_j_lp, ours.worst_vs_best, ours.worst_on) == (2.25, 1.2, "storm")
    assert (theirs.mean_j_lp, theirs.worst_vs_best, theirs.worst_on) == (2.75, 2.0, "calm")
    assert (ours.killed, ours.most_at_once, ours.above_most) == (8, 40, 2)

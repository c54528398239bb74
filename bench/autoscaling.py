"""The controller's policy beside those that people run, in simulated time, on real and made loads.

    python -m bench.autoscaling --traces DIR [--without NAME …] [--policy NAME …] [--seeds 5] [--json]
    python -m bench.autoscaling --large [--json]

Every file in the folder is a trace; what the bench makes of it, `controller.simulation.loads.for_bench` says. Besides
there are one burst of 100 jobs, three of them 900 s apart, and a step from nothing to 50 jobs a second and back. The
world: a second a job, boots of 45 ± 10 s, a least bill of 60 s, a second of waiting as dear as one of an instance; the
controller looks each second, at days every five seconds. What a boot takes it does not know before the first has ended.

`j_lp`: what instances and waiting cost, to the fluid lower bound, of which no policy can be below; the mean of the
seeds. `vs_best`: J, the mean of the seeds, to that of the trace's best policy. `mean_j_lp`: of all traces.
`worst_vs_best`: the highest. `killed`: jobs cut off. `most_at_once`: instances, in any run; `above_most`: runs with
more than allowed. `--large`: seconds of one core for 5 million jobs on 5,000 instances.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from os import sched_getaffinity
from pathlib import Path
from statistics import fmean

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.told import tell
from controller.simulation import loads, traces
from controller.simulation.bound import fluid_bound
from controller.simulation.cloud import World
from controller.simulation.engine import simulate
from controller.simulation.loads import Load
from controller.simulation.report import POLICIES
from controller.simulation.traces import Trace

#: No single run takes so many seconds; waiting longer means that its process is gone.
PATIENCE = 300.0
LARGE_JOBS, LARGE_FLEET = 5_000_000, 5_000
#: How often the controller looks, in hours and in days.
HOURS_TICK, DAYS_TICK = 1.0, 5.0
#: What the fluid bound is called among the policies' names.
BOUND = "lower bound"


@dataclass(frozen=True)
class Task:
    trace: Trace
    seed: int
    policy: str


@dataclass(frozen=True)
class Outcome:
    """What a run came to; for the bound, `j` alone is meant."""

    trace: str
    seed: int
    policy: str
    j: float
    killed: int = 0
    ceiling: int = 0
    most: int = 0


@dataclass(frozen=True)
class OnTrace:
    j_lp: float
    vs_best: float
    seeds: list[float]


@dataclass(frozen=True)
class Overall:
    mean_j_lp: float
    worst_vs_best: float
    worst_on: str
    killed: int
    most_at_once: int
    above_most: int


def measure(task: Task) -> Outcome:
    """One policy with one load, or its bound."""
    load = loads.load(task.trace, seed=task.seed)
    world = World(tick=DAYS_TICK if task.trace.seconds >= loads.DAY else HOURS_TICK)
    if task.policy == BOUND:
        return Outcome(task.trace.name, task.seed, BOUND, fluid_bound(load, world))
    run = simulate(load, POLICIES[task.policy], world, seed=task.seed)
    j = run.cost(world.wait_price)
    return Outcome(task.trace.name, task.seed, task.policy, j, run.killed, run.ceiling, load.most)


def outcomes(tasks: list[Task]) -> Iterator[Outcome]:
    """In any order, on all cores. Each is a process of its own, so that none inherits threads."""
    with get_context("spawn").Pool(len(sched_getaffinity(0))) as pool:
        found = pool.imap_unordered(measure, tasks)
        for _ in tasks:
            yield found.next(timeout=PATIENCE)


def on_traces(found: list[Outcome]) -> dict[str, dict[str, OnTrace]]:
    """By trace and policy."""
    js: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for one in found:
        js[one.trace][one.policy][one.seed] = one.j
    return {trace: _on_trace(policies) for trace, policies in js.items()}


def _on_trace(js: Mapping[str, Mapping[int, float]]) -> dict[str, OnTrace]:
    bounds = js[BOUND]
    means = {policy: fmean(of_seeds.values()) for policy, of_seeds in js.items() if policy != BOUND}
    best = min(means.values())
    ratios = {policy: [js[policy][seed] / bounds[seed] for seed in sorted(bounds)] for policy in means}
    return {
        policy: OnTrace(round(fmean(of), 4), round(means[policy] / best, 4), [round(ratio, 4) for ratio in of])
        for policy, of in ratios.items()
    }


def overall(found: list[Outcome], traces_found: Mapping[str, Mapping[str, OnTrace]]) -> dict[str, Overall]:
    """By policy, over all traces."""
    return {policy: _overall(policy, found, traces_found) for policy in next(iter(traces_found.values()))}


def _overall(policy: str, found: list[Outcome], traces_found: Mapping[str, Mapping[str, OnTrace]]) -> Overall:
    runs = [one for one in found if one.policy == policy]
    worst, on = max((policies[policy].vs_best, trace) for trace, policies in traces_found.items())
    return Overall(
        mean_j_lp=round(fmean(policies[policy].j_lp for policies in traces_found.values()), 4),
        worst_vs_best=worst,
        worst_on=on,
        killed=sum(one.killed for one in runs),
        most_at_once=max(one.ceiling for one in runs),
        above_most=sum(one.ceiling > one.most for one in runs),
    )


def large() -> dict[str, float]:
    """5 million jobs within 1,250 s, which keep 4,000 instances busy; the first boot's backlog wants the others."""
    arrivals = np.sort(np.random.default_rng(1).uniform(0.0, LARGE_JOBS / (0.8 * LARGE_FLEET), LARGE_JOBS))
    started = time.process_time()
    run = simulate(Load("large", arrivals, LARGE_FLEET), next(iter(POLICIES.values())), World(), seed=1)
    seconds = round(time.process_time() - started, 1)
    return {"large_s": seconds, "jobs": int(run.waits.size), "most_at_once": run.ceiling, "killed": run.killed}


def _traces(folder: Path, without: tuple[str, ...]) -> list[Trace]:
    files = [file for file in sorted(folder.iterdir()) if file.suffix in (".csv", ".txt") and file.stem not in without]
    read = [made for file in files for made in loads.for_bench(traces.read(file))]
    return [*read, *(make() for name, make in loads.SYNTHETIC.items() if name not in without)]


def _print(found: Mapping[str, Mapping[str, OnTrace]], overall: Mapping[str, Overall]) -> None:
    table = Table("trace", title="J/LP; the best of each trace is marked", row_styles=["", "dim"])
    for policy in overall:
        table.add_column(policy, justify="right")
    for trace, policies in found.items():
        cells = [
            f"[bold green]{one.j_lp:.2f}[/]" if one.vs_best == 1 else f"{one.j_lp:.2f}" for one in policies.values()
        ]
        table.add_row(trace, *cells)
    table.add_section()
    for name in Overall.__dataclass_fields__:
        table.add_row(name, *(str(getattr(one, name)) for one in overall.values()))
    Console().print(table)


@click.command()
@click.option("--traces", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder.")
@click.option("--without", multiple=True, help="Leave out this file or made load, named without its ending.")
@click.option("--policy", "names", multiple=True, type=click.Choice(list(POLICIES)), help="Only these.")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--large", "is_large", is_flag=True, help="Time the simulator instead.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(
    folder: Path | None,
    without: tuple[str, ...],
    names: tuple[str, ...],
    seeds: int,
    *,
    is_large: bool,
    as_json: bool,
) -> None:
    """Measure the controller's policy beside others'."""
    if is_large:
        tell("The simulator", large(), as_json=as_json)
        return
    if folder is None:
        raise click.UsageError("it wants --traces DIR, a folder of traces, or --large")
    wanted = _traces(folder, without)
    policies = [name for name in POLICIES if name in names or not names]
    # What takes longest first, so that no core waits at the end.
    order = sorted(wanted, key=lambda trace: -trace.jobs.sum())
    tasks = [Task(trace, seed, name) for trace in order for seed in range(1, seeds + 1) for name in (*policies, BOUND)]
    started = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        found = list(progress.track(outcomes(tasks), total=len(tasks), description="simulating"))
    _tell(found, [trace.name for trace in wanted], policies, seeds, time.monotonic() - started, as_json=as_json)


def _tell(
    found: list[Outcome], names: list[str], policies: list[str], seeds: int, seconds: float, *, as_json: bool
) -> None:
    by_trace = on_traces(found)
    # Runs end in any order; tables have that of the traces and of the policies.
    ordered = {name: {policy: by_trace[name][policy] for policy in policies} for name in names}
    sums = overall(found, ordered)
    if not as_json:
        _print(ordered, sums)
        return
    told = {
        "policies": {name: asdict(one) for name, one in sums.items()},
        "traces": {name: {policy: asdict(one) for policy, one in on.items()} for name, on in ordered.items()},
        "seeds": seeds,
        "seconds": round(seconds, 1),
    }
    click.echo(json.dumps(told))


if __name__ == "__main__":
    main()

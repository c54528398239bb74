"""`facefleet simulate`: what policies would do with a load, in simulated time."""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from controller.simulation import engine, loads, traces
from controller.simulation.cloud import World
from controller.simulation.engine import Run
from controller.simulation.loads import Load
from controller.simulation.picture import ENDINGS, draw
from controller.simulation.report import POLICIES, Figures, figures
from controller.simulation.traces import Trace

#: More would take minutes, and gigabytes.
MOST_JOBS = 10_000_000
#: Loads that are not read from a file.
MADE = (*loads.SYNTHETIC, "poisson", "diurnal")
EVERY = "all"
HOUR = 3600.0
#: Beyond this a picture says nothing, and a simulation takes hours.
MOST_INSTANCES = 20_000
USUAL = World()
PICTURE = click.Path(dir_okay=False, writable=True, path_type=Path)
F = TypeVar("F", bound=Callable[..., Any])


def _finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value} is no number of this kind")
    return value


def _place(context: click.Context, parameter: click.Parameter, file: Path | None) -> Path | None:
    """Looked at before all the work: at its end it would be for nothing."""
    if file is not None and file.suffix.lower() not in ENDINGS:
        raise click.BadParameter(f"{file} must end in {' or '.join(ENDINGS)}")
    if file is not None and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}")
    return file


def _number(
    name: str, default: float | None, about: str, *, least: float = 0.0, top: float | None = None
) -> Callable[[F], F]:
    kind = click.FloatRange(least, top)
    return click.option(name, default=default, show_default=True, type=kind, callback=_finite, help=about)


#: Each is a field of the simulated world.
WORLD = (
    _number("--boot", USUAL.boot, "Seconds from launch until a worker works, on average.", top=HOUR),
    _number(
        "--boot-spread", USUAL.boot_spread, "Its standard deviation; none is farther off than twice of it.", top=HOUR
    ),
    _number("--service", USUAL.service, "Seconds of a job.", least=1e-3, top=HOUR),
    _number("--least-bill", USUAL.least_bill, "Seconds that an instance costs at the least.", top=24 * HOUR),
    _number(
        "--wait-price", USUAL.wait_price, "Worth of a job's second of waiting, in seconds of an instance.", top=1e6
    ),
    click.option(
        "--warm",
        default=USUAL.warm,
        show_default=True,
        type=click.IntRange(0, MOST_INSTANCES),
        help="Instances of a warm pool.",
    ),
    _number("--warm-boot", USUAL.warm_boot, "Seconds from the start of one of those until a worker works.", top=HOUR),
    _number(
        "--stop", USUAL.stop, "Seconds that an instance takes to stop, on its way back to the warm pool.", top=HOUR
    ),
    _number("--lag", USUAL.lag, "Seconds by which the queue's counts are old.", top=HOUR),
    _number("--no-capacity", USUAL.no_capacity, "Share of launches that the cloud has no instance for.", top=0.95),
    _number("--throttled", USUAL.throttled, "Share of calls that the cloud turns down.", top=0.95),
    _number("--zombies", USUAL.zombies, "Share of launches that are paid for and never work.", top=0.95),
    _number("--spot-losses", USUAL.spot_losses, "Losses of an instance in an hour, on average.", top=3600.0),
)


def _world_options(command: F) -> F:
    for option in reversed(WORLD):
        command = option(command)
    return command


@click.command()
@click.argument("load", metavar="LOAD")
@click.option(
    "--policy",
    "names",
    multiple=True,
    default=["priced"],
    type=click.Choice([*POLICIES, EVERY]),
    help="May be repeated.",
)
@click.option(
    "--most", default=loads.FEW, show_default=True, type=click.IntRange(1, MOST_INSTANCES), help="Instances at once."
)
@click.option(
    "--seed", default=1, show_default=True, type=click.IntRange(min=0), help="The same one, the same figures."
)
@_number("--price", 0.0, "What an instance costs in an hour, in your money.", top=1e6)
@_number("--days", None, "Only the trace's busiest days, so many.", least=1e-6)
@click.option("--jobs", type=click.IntRange(1, MOST_JOBS), help="Scale the load to so many jobs.")
@_number("--rate", 1.0, "poisson, diurnal: jobs a second, on average.", least=1e-6, top=1e5)
@_number("--seconds", 3600.0, "poisson, diurnal: how long.", least=1.0, top=31 * 24 * HOUR)
@_world_options
@click.option(
    "--picture", type=PICTURE, callback=_place, help="Draw queue, fleet and waiting into this PNG or SVG file."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def simulate(
    load: str,
    names: tuple[str, ...],
    most: int,
    seed: int,
    price: float,
    days: float | None,
    jobs: int | None,
    rate: float,
    seconds: float,
    picture: Path | None,
    *,
    as_json: bool,
    **world: Any,
) -> None:
    """Run policies on LOAD in simulated time: what they cost, and how long jobs would wait.

    LOAD is a trace file: CSV with the header timestamp,value or seconds,jobs (a count for each interval), CSV whose
    first column is TIMESTAMP (a line for each arrival), or seconds, one a line. Or it is made: burst (100 jobs at
    once), bursts (three of them, 15 minutes apart), step (50 jobs a second for 10 minutes), poisson, diurnal.

    J is what instances cost and what waiting is worth, in seconds of an instance. J/LP: how many times the least that
    any policy could reach, even one that sees the future.

    \b
    Examples:
      facefleet simulate burst --boot 25
      facefleet simulate trace.csv --days 3 --jobs 200000 --policy all
      facefleet simulate poisson --rate 5 --seconds 7200 --policy priced --policy classic --picture fleet.png
      facefleet simulate step --most 100 --spot-losses 2 --lag 60 --json | jq .policies
    """
    trace = _scaled(_trace(load, rate, seconds, seed), days, jobs)
    asked = loads.load(trace, most, seed=seed)
    runs, found = _simulated(asked, _policies(names), World(**world), seed, price)
    if picture is not None:
        draw(asked, runs, picture)
    if as_json:
        about = {"load": trace.name, "jobs": asked.arrivals.size, "most": most, "seed": seed, "price": price, **world}
        click.echo(json.dumps(about | {"policies": {one.policy: asdict(one) for one in found}}, indent=2))
    else:
        Console().print(_table(asked, found))


def _trace(load: str, rate: float, seconds: float, seed: int) -> Trace:
    if load in loads.SYNTHETIC:
        return loads.SYNTHETIC[load]()
    if load in MADE and rate * seconds > MOST_JOBS:
        raise click.UsageError(f"that is more than {MOST_JOBS} jobs: give a lower --rate, or fewer --seconds")
    if load == "poisson":
        return loads.poisson(rate, seconds, seed=seed)
    if load == "diurnal":
        return loads.diurnal(rate, seconds)
    if not Path(load).is_file():
        raise click.UsageError(f"{load} is no file, and none of {', '.join(MADE)}")
    return traces.read(Path(load))


def _scaled(trace: Trace, days: float | None, jobs: int | None) -> Trace:
    if days is not None:
        trace = loads.busiest(trace, days * loads.DAY)
    if jobs is not None:
        trace = loads.scaled(trace, jobs / trace.jobs.sum())
    if trace.jobs.sum() > MOST_JOBS:
        raise click.UsageError(
            f"{trace.name} has {trace.jobs.sum():.0f} jobs, and more than {MOST_JOBS} would take too long: "
            "cut it with --days, or scale it with --jobs"
        )
    return trace


def _policies(names: tuple[str, ...]) -> list[str]:
    return list(POLICIES) if EVERY in names else list(dict.fromkeys(names))


def _simulated(
    load: Load, names: list[str], world: World, seed: int, price: float
) -> tuple[dict[str, Run], list[Figures]]:
    # Here, since it brings SciPy, which a container image has not, and no other command's help should need.
    from controller.simulation.bound import fluid_bound

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("lower bound", total=1 + len(names))
        bound = fluid_bound(load, world)
        runs = {}
        for done, name in enumerate(names, 1):
            progress.update(task, completed=done, description=name)
            told = partial(_tell, progress, task, done)
            runs[name] = engine.simulate(load, POLICIES[name], world, seed=seed, progress=told)
    return runs, [figures(name, run, world, bound=bound, price=price) for name, run in runs.items()]


def _tell(progress: Progress, task: TaskID, done: int, share: float) -> None:
    progress.update(task, completed=done + share)


def _table(load: Load, found: list[Figures]) -> Table:
    title = f"{load.name}: {load.arrivals.size} jobs, at most {load.most} instances"
    caption = "p50 to p99: seconds of waiting. Paid: seconds of instances. The lowest J is marked."
    table = Table("policy", title=title, caption=caption, box=SIMPLE_HEAD, collapse_padding=True)
    for column in ("p50", "p95", "p99", "paid", "cost", "starts", "killed", "J", "J/LP"):
        table.add_column(column, justify="right")
    best = min(one.j for one in found)
    for one in found:
        waits = (f"{wait:.1f}" for wait in (one.wait_p50, one.wait_p95, one.wait_p99))
        bill = (f"{one.instance_seconds:.0f}", f"{one.cost:.2f}", str(one.starts), str(one.killed))
        style = "bold green" if one.j == best else None
        table.add_row(one.policy, *waits, *bill, f"{one.j:.0f}", f"{one.j_lp:.2f}", style=style)
    return table

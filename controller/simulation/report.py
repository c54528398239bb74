"""What came of a simulated run, in figures, and the policies that may be asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.classic import CLASSIC
from controller.policy import Policy
from controller.priced import PRICED
from controller.simulation.anchors import ANCHORS
from controller.simulation.cloud import World
from controller.simulation.engine import Run

HOUR = 3600.0
#: By their names, ours first.
POLICIES: Mapping[str, Policy[Any]] = {PRICED.name: PRICED, CLASSIC.name: CLASSIC, **ANCHORS}


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy's. Waiting is seconds from a job's arrival to the start of its service; `cost` in the price's money.

    `j`: instance-seconds paid, and each job-second of waiting at its price; `j_lp`: how many times the fluid bound.
    """

    policy: str
    jobs: int
    wait_p50: float
    wait_p95: float
    wait_p99: float
    wait_mean: float
    instance_seconds: float
    cost: float
    starts: int
    killed: int
    lost: int
    most_at_once: int
    finished: float
    j: float
    j_lp: float


def figures(policy: str, run: Run, world: World, *, bound: float, price: float = 0.0) -> Figures:
    """A run in figures. `bound`: the load's fluid bound; `price`: what an instance costs in an hour."""
    p50, p95, p99 = (float(p) for p in np.percentile(run.waits, (50, 95, 99)))
    j = run.cost(world.wait_price)
    return Figures(
        policy=policy,
        jobs=int(run.waits.size),
        wait_p50=round(p50, 2),
        wait_p95=round(p95, 2),
        wait_p99=round(p99, 2),
        wait_mean=round(float(run.waits.mean()), 2),
        instance_seconds=round(run.instance_seconds, 1),
        cost=round(run.instance_seconds / HOUR * price, 4),
        starts=run.starts,
        killed=run.killed,
        lost=run.lost,
        most_at_once=run.ceiling,
        finished=round(run.finished, 1),
        j=round(j, 1),
        j_lp=round(j / bound, 4),
    )

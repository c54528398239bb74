"""A load, a policy and a cloud put together: the real reconcile loop under simulated time."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.ledger import Ledger
from controller.policy import Plan, Policy, Terms
from controller.reconcile import Controller
from controller.simulation.cloud import BEGINNING, Cloud, World, is_anybody_up
from controller.simulation.loads import Load
from controller.simulation.traces import Floats
from controller.status import Status
from controller.steps import Limits
from facefleet.errors import ServiceError
from facefleet.model import InstanceState

Ints = NDArray[np.int64]
#: Of a tick: when, and how many jobs, running and pending instances there were, and how many were desired.
Point = tuple[float, int, int, int, int]
#: A fleet that is still up so long after the last job will stay so.
PATIENCE = 7200.0
#: A simulation of more ticks takes the better part of an hour.
MOST_TICKS = 20_000_000
#: Points in a picture, at most.
POINTS = 4000
#: Ticks between two words of progress.
WORD_EVERY = 1000


class Unfinished(ServiceError, RuntimeError):
    """A simulated fleet does not get done: allow more instances, or give it less to do."""

    code = "unfinished"


@dataclass(frozen=True)
class Timeline:
    """What was seen at ticks: seconds from the beginning, and numbers of jobs and instances."""

    times: Floats
    backlog: Ints
    running: Ints
    pending: Ints
    desired: Ints


@dataclass(frozen=True)
class Run:
    """What came of it. `waits`: seconds from each job's arrival to the service that ended well.

    `killed`: jobs that the policy cut off; `lost`: that went down with their machine. `ceiling`: the most instances
    that there ever were at once; `finished`: seconds simulated.
    """

    waits: Floats
    instance_seconds: float
    starts: int
    killed: int
    lost: int
    ceiling: int
    finished: float
    timeline: Timeline

    def cost(self, wait_price: float) -> float:
        """J, in seconds of an instance."""
        return self.instance_seconds + wait_price * float(self.waits.sum())


def simulate(
    load: Load,
    policy: Policy[Any],
    world: World,
    *,
    seed: int,
    limits: Limits | None = None,
    progress: Callable[[float], object] = lambda share: None,
) -> Run:
    """The load from its first job until the fleet is gone again; the same seed brings the same boots and faults.

    `progress` is called with the share of the load's time that has passed, now and again.
    """
    cloud = Cloud(load, world, random.Random(seed))  # noqa: S311  # no secret
    seen: list[Point] = []
    terms = Terms(0, load.most, wait_price=world.wait_price, least_bill=world.least_bill)
    controller = Controller(
        cloud.depth,
        cloud,
        cloud.heartbeats,
        _forget,
        lambda status: seen.append(_point(status)),
        policy,
        terms,
        limits or Limits(),
        chance=random.Random(seed).random,  # noqa: S311  # no secret
    )
    ended = _ticked_through(cloud, controller.tick, world.tick, progress)
    cloud.settled()
    return _run_of(cloud, ended, seen)


def _run_of(cloud: Cloud, ended: float, seen: list[Point]) -> Run:
    return Run(
        cloud.crowd.waits,
        cloud.paid,
        cloud.starts,
        cloud.killed,
        cloud.lost,
        cloud.ceiling,
        ended - BEGINNING,
        _timeline(seen),
    )


def _ticked_through(
    cloud: Cloud, tick: Callable[[float], Plan], every: float, progress: Callable[[float], object]
) -> float:
    """Ticks until all is done and nobody is up; returns when that was."""
    last, number, ticks = cloud.crowd.last_arrival, 0, 0
    while True:
        now = BEGINNING + number * every
        cloud.run_to(now)
        idle = not is_anybody_up(cloud.instances()) and not cloud.crowd.waiting(now)
        tick(now)
        if cloud.crowd.through and (idle or now > last + PATIENCE):
            return now
        number += 1
        ticks += 1
        if ticks > MOST_TICKS:
            raise Unfinished(f"not done after {now - BEGINNING:.0f} s: allow more instances, or give less to do")
        if ticks % WORD_EVERY == 0:
            progress(min(1.0, (now - BEGINNING) / max(last - BEGINNING, every)))
        if idle and not is_anybody_up(cloud.instances()):
            # Nobody and nothing was there, and that was seen: on to the last tick before the next job.
            number = max(number, ceil((cloud.crowd.next_job - BEGINNING) / every) - 1)


def _forget(ledger: Ledger) -> None:
    """Nothing survives a simulation."""


def _point(status: Status) -> Point:
    states = status.instances
    backlog = status.depth.backlog if status.depth else 0
    return (status.at, backlog, states[InstanceState.RUNNING], states[InstanceState.PENDING], status.desired)


def _timeline(seen: list[Point]) -> Timeline:
    every = max(1, ceil(len(seen) / POINTS))
    times, backlog, running, pending, desired = np.array(seen[::every], dtype=float).T
    return Timeline(
        times - BEGINNING, backlog.astype(int), running.astype(int), pending.astype(int), desired.astype(int)
    )

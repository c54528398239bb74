"""The autoscalers that people run today, as policies to compare with: a few lines each, from their formulas.

For all of them alike: they look at every tick and at the newest counts, where the real ones poll every 10 to 60
seconds. A job that is cut off comes back after its lease. An instance on its way out counts against the most, which
some of the real ones overshoot.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from controller.classic import Peaks
from controller.policy import UP, Observation, Plan, Policy, Terms
from facefleet.model import Heartbeat, Instance, InstanceState, WorkerState

PENDING, RUNNING = InstanceState.PENDING, InstanceState.RUNNING
#: The original's pause before it looks again at instances that are on their way.
SETTLE = 30.0
#: KEDA's default, <https://keda.sh/docs/latest/scalers/aws-sqs/>.
QUEUE_LENGTH = 5
#: Kubernetes' `behavior.scaleDown.stabilizationWindowSeconds`, and KEDA's `cooldownPeriod` before it goes to zero.
STABILISATION = 300.0
#: One-minute datapoints that raise the alarms of target tracking, and the share of the target below which it scales in:
#: <https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-target-tracking.html> and the alarms that it makes.
MINUTE, HIGH, LOW, LOW_SHARE = 60.0, 3, 15, 0.9
#: The acceptable latency of <https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-using-sqs-queue.html>.
LATENCY = 10.0
#: `ScaleInIdlePeriod` of Buildkite's Elastic CI Stack for AWS, <https://github.com/buildkite/elastic-ci-stack-for-aws>.
IDLE = 600.0
#: `minimum_running_time_in_minutes` on Linux, <https://github.com/github-aws-runners/terraform-aws-github-runner>.
LEAST_RUN = 300.0


@dataclass(frozen=True, slots=True)
class Nothing:
    """Remembered by those that remember nothing."""


def original(seen: Observation, memory: Nothing, terms: Terms, now: float) -> tuple[Plan, Nothing]:
    """The design this project began with: desired = min(most, visible + in flight), any surplus stopped at once.

    The surplus is whoever is listed first, busy or not; what is pending or stopping is left alone for 30 s. Kinder than
    the real one: that stops instances without asking whether the queue's count is old. Harsher: nothing.
    """
    desired = _within(seen.depth.backlog, terms)
    old = [i for i in _up(seen) if i.state is RUNNING or now - i.since >= SETTLE]
    return _plan(seen, terms, desired, end=old), memory


def keda(seen: Observation, memory: Peaks, terms: Terms, now: float) -> tuple[Plan, Peaks]:
    """KEDA's aws-sqs-queue: ceil((visible + in flight) / 5), in to the highest of 300 s, to zero after as long.

    Scale-in takes pending replicas first, then the youngest, and cuts off what they do. Kinder than the real one: no
    polling interval of 30 s before the first replica, no limit to doubling every 15 s, no tolerance of 10 %. Harsher: a
    replica is an instance that boots, not a pod on a node that is there; a pod has 30 s to finish its job.
    """
    memory = memory.seeing(_within(math.ceil(seen.depth.backlog / QUEUE_LENGTH), terms), now, STABILISATION)
    victims = sorted(_up(seen), key=lambda i: (i.state is RUNNING, -i.launched_at))
    return _plan(seen, terms, memory.peaks[0][1], end=victims), memory


@dataclass(frozen=True, slots=True)
class Alarms:
    """CloudWatch's last minute, how many in a row were high or low, and what capacity that led to."""

    minute: int = -1
    high: int = 0
    low: int = 0
    desired: int = 0


def target_tracking(seen: Observation, memory: Alarms, terms: Terms, now: float) -> tuple[Plan, Alarms]:
    """EC2 Auto Scaling on backlog per instance, whose target is an acceptable latency of 10 s through the service time.

    A datapoint a minute: three above the target scale out, fifteen below nine tenths of it scale in, in proportion.
    Scale-in ends the oldest, busy or not, for there is no protection. Kinder than the real one: jobs in flight count as
    backlog, or a fleet that keeps up would be taken for idle; datapoints arrive at once; where nothing runs, any
    backlog is too high, though the real metric has no value there. Harsher: scale-in goes all the way at once.
    """
    memory = _measured(seen, memory, terms, int(now // MINUTE))
    oldest = sorted(_up(seen), key=lambda i: i.launched_at)
    return _plan(seen, terms, memory.desired, end=oldest), memory


def _measured(seen: Observation, memory: Alarms, terms: Terms, minute: int) -> Alarms:
    if minute == memory.minute:
        return replace(memory, desired=_within(memory.desired, terms))
    per_instance, backlog = LATENCY / seen.service, seen.depth.backlog
    target = per_instance * seen.count(RUNNING)
    # Minutes that nobody looked at had nothing to do.
    since = memory if minute == memory.minute + 1 else Alarms()
    high = since.high + 1 if backlog > target else 0
    low = since.low + 1 if backlog < LOW_SHARE * target else 0
    wanted, up = math.ceil(backlog / per_instance), seen.count(*UP)
    desired = memory.desired
    if high >= HIGH:
        desired = max(up, wanted)
    elif low >= LOW:
        desired = min(up, wanted)
    return Alarms(minute, high, low, _within(desired, terms))


@dataclass(frozen=True, slots=True)
class Idling:
    """Each idle agent: its id, the jobs it had done by then, and since when it idles."""

    agents: tuple[tuple[str, int, float], ...] = ()


def idle_exit(seen: Observation, memory: Idling, terms: Terms, now: float) -> tuple[Plan, Idling]:
    """Buildkite's scaler: ceil((scheduled + running) / agents per instance), one agent each; out only.

    An agent exits once it was idle for 600 s, and cuts off nothing. Kinder than the real one: what drains is no
    capacity, there is one writer, no launch and no end is forgotten. Harsher: nothing.
    """
    known = {id: (jobs, since) for id, jobs, since in memory.agents}
    idle = tuple(_idling(worker, known, now) for worker in _idle(seen))
    expired = {id for id, _, since in idle if now - since >= IDLE}
    exiting = [i for i in _up(seen) if i.id in expired]
    return _plan(seen, terms, _within(seen.depth.backlog, terms), retire=exiting), Idling(idle)


def _idling(worker: Heartbeat, known: Mapping[str, tuple[int, float]], now: float) -> tuple[str, int, float]:
    """What an agent did between two looks shows in its jobs only."""
    jobs, since = known.get(worker.id, (worker.jobs, now))
    return worker.id, worker.jobs, since if jobs == worker.jobs else now


def per_job(seen: Observation, memory: Nothing, terms: Terms, now: float) -> tuple[Plan, Nothing]:
    """GitHub's runners on AWS: one for each queued job, in only idle ones that have run for five minutes.

    As many are on their way as jobs are queued; who runs may take one first, and then a runner more stands idle. Kinder
    than the real one: no job's event is lost, the check for idleness and the end are one, no runner is orphaned,
    scale-in looks at every tick and not every five minutes. Harsher: no pool is topped up ahead of jobs.
    """
    idle = {worker.id for worker in _idle(seen)}
    old = [i for i in _up(seen) if i.state is RUNNING and i.id in idle and now - i.launched_at >= LEAST_RUN]
    missing, up = seen.depth.visible - seen.count(PENDING), seen.count(*UP)
    desired = _within(up + missing if missing > 0 else up - len(old), terms)
    return _plan(seen, terms, desired, retire=old), memory


def _within(count: int, terms: Terms) -> int:
    return min(max(count, terms.least), terms.most)


def _up(seen: Observation) -> list[Instance]:
    return [i for i in seen.instances if i.state in UP]


def _idle(seen: Observation) -> list[Heartbeat]:
    return [worker for worker in seen.workers if worker.state is WorkerState.IDLE]


def _plan(
    seen: Observation, terms: Terms, desired: int, *, end: Iterable[Instance] = (), retire: Iterable[Instance] = ()
) -> Plan:
    """What is missing is launched, as far as there is room; of the surplus go the first of those that may."""
    up = seen.count(*UP)
    room = max(0, terms.most - up - seen.count(InstanceState.DRAINING, InstanceState.STOPPING))
    launch, surplus = min(max(0, desired - up), room), max(0, up - desired)
    ended, retired = (tuple(i.id for i in islice(going, surplus)) for going in (end, retire))
    return Plan(desired, launch, retired, f"backlog {seen.depth.backlog}: {desired}", ended)


_ALL: tuple[Policy[Any], ...] = (
    Policy("original", original, Nothing()),
    Policy("keda", keda, Peaks()),
    Policy("target_tracking", target_tracking, Alarms()),
    Policy("idle_exit", idle_exit, Idling()),
    Policy("per_job", per_job, Nothing()),
)
#: By their names.
ANCHORS: Mapping[str, Policy[Any]] = {policy.name: policy for policy in _ALL}

"""What the ticks come to, in Prometheus' words: gauges of the last one, counters since the controller began."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from controller.status import Status
from facefleet import keys
from facefleet.model import Start
from facefleet.ports import Blobs

#: Seconds: from a process, which comes in half a second, to a machine of which one despairs.
BOOT_BUCKETS = (0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)


class Metrics:
    """The blob that `/metrics` shows, written as often as an unchanged status, and when a rest begins or ends."""

    def __init__(self, blobs: Blobs, epoch: int) -> None:
        self._blobs, self._epoch = blobs, epoch
        self._status: Status | None = None
        self._told_at = float("-inf")
        # Not the library's own one, which all of a process share.
        self._registry = CollectorRegistry()
        self._boots = Histogram(
            "facefleet_boot_seconds",
            "From asking for an instance to its worker's first word.",
            ["start"],
            registry=self._registry,
            buckets=BOOT_BUCKETS,
        )
        for start in Start:
            self._boots.labels(start)
        self._registry.register(self)

    def tell(self, status: Status) -> None:
        news = self._status is None or status.repeat != self._status.repeat
        self._status = status
        for start, seconds in status.boots:
            self._boots.labels(start).observe(seconds)
        if news or not 0 <= status.at - self._told_at < status.repeat:
            self._blobs.put(keys.METRICS, generate_latest(self._registry))
            self._told_at = status.at

    def collect(self) -> Iterator[Metric]:
        """For the registry, which asks when it is read."""
        if self._status is not None:
            yield _gauge("controller_epoch", "How many controllers have led, this one included.", self._epoch)
            yield from _of_controller(self._status)
            yield from _of_fleet(self._status)
            yield from _of_queue(self._status)


def _of_controller(status: Status) -> Iterator[Metric]:
    yield _gauge("controller_last_tick_timestamp_seconds", "When the controller looked last; 0: never.", status.at)
    yield _counters("decisions", "Ticks that did something, or held, by what.", "decision", status.decisions)
    yield _counters("errors", "What the outside world refused, by the error's code.", "error", status.errors)
    yield _counters("calls", "What the fleet was asked for, and answered, by verb.", "verb", status.calls)


def _of_fleet(status: Status) -> Iterator[Metric]:
    counts = {state.value: count for state, count in status.instances.items()}
    yield _gauges("instances", "Instances by state.", "state", counts)
    yield _gauge("desired_instances", "Instances that the backlog deserves, within bounds.", status.desired)
    yield _gauge("max_instances", "Most instances.", status.most)
    if status.clouds:
        up = {name: cloud.up for name, cloud in status.clouds.items()}
        answer = {name: int(cloud.answers) for name, cloud in status.clouds.items()}
        yield _gauges("cloud_instances", "Instances that are up, by cloud.", "cloud", up)
        yield _gauges("cloud_answers", "Whether a cloud answers, or is done without.", "cloud", answer)
    yield CounterMetricFamily("facefleet_instance_seconds", "Paid for so far.", status.instance_seconds)
    yield CounterMetricFamily("facefleet_cost", "Cost so far, in the currency of the price.", status.cost)


def _of_queue(status: Status) -> Iterator[Metric]:
    """Nothing of a queue that could not be read."""
    depth = status.depth
    if depth is None:
        return
    counts = {"visible": depth.visible, "in_flight": depth.in_flight}
    yield _gauges("backlog_messages", "Messages that wait, and that are on lease.", "state", counts)
    if status.oldest is not None or not depth.visible:
        yield _gauge("oldest_message_age_seconds", "How long the oldest message waits.", status.oldest or 0.0)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(f"facefleet_{name}", help, value)


def _gauges(name: str, help: str, label: str, values: Mapping[str, float]) -> Metric:
    return _labelled(GaugeMetricFamily(f"facefleet_{name}", help, labels=[label]), values)


def _counters(name: str, help: str, label: str, values: Mapping[str, float]) -> Metric:
    return _labelled(CounterMetricFamily(f"facefleet_{name}", help, labels=[label]), values)


def _labelled(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float]) -> Metric:
    for key, value in values.items():
        family.add_metric([key], value)
    return family

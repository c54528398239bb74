"""Uploads on AWS's emulators while everything goes wrong: is one lost, doubled, or an instance leaked?

    python -m bench.storm [--photos DIR] [--uploads 500] [--most 19] [--seed 1] [--json]

Every second something happens, drawn by chance: an instance is lost, or what runs on it is killed; EC2 throttles
half of all calls, or has no capacity for half of them; a spot instance is given notice; replies vanish; the controller
is killed with -9 and started again. At the end all is calm, and the fleet goes back to zero.

`lost`: uploads without an answer; `wrong`: other answers than a bare recogniser's; `doubled`: results beyond one for
each upload; `left`: messages and dead letters that stay; `leaked`: instances that stay up. `most_up`: the most that
were up at once; `touched`: instances of others whose state changed. `happened`: how often what went wrong.
"""

import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click

from bench.burst import right_answers
from bench.emulators import Emulator
from bench.local import awaited
from bench.on_aws import UP, OnAws, service_on_aws
from bench.service import SAMPLES, images_in
from bench.told import tell
from bench.uploads import Burst, Upload, bursts, send_some
from facefleet import keys
from facefleet.backends.aws.clients import connect_clients
from facefleet.errors import ServiceError
from facefleet.settings import Settings

FOREIGN = 2
#: Seconds between two misfortunes, and between two counts of the fleet.
EVERY, COUNT_EVERY = 1.0, 0.1
#: Uploads under way at a time.
AT_ONCE = 40


@dataclass(frozen=True)
class Measured:
    uploads: int
    most: int
    seconds: float
    lost: int
    wrong: int
    doubled: int
    left: int
    leaked: int
    most_up: int
    touched: int
    happened: str


class Struck(Protocol):
    """A service that things happen to."""

    @property
    def cloud(self) -> Emulator: ...

    @property
    def settings(self) -> Settings: ...

    def ours(self, *states: str) -> list[str]:
        """Ids of the fleet's instances in these states."""


class Weather:
    """What goes wrong, one thing at a time: what happens to instances and to EC2."""

    def __init__(self, service: Struck, seed: int) -> None:
        self._service = service
        self._chance = random.Random(seed)  # noqa: S311  # chance picks a victim, not a key
        self.happened: Counter[str] = Counter()

    def kinds(self) -> tuple[Callable[[], object], ...]:
        return self.lost, self.crashed, self.notice, self.throttled, self.no_capacity, self.calm

    def change(self) -> None:
        kind = self._chance.choice(self.kinds())
        kind()
        self.happened[kind.__name__] += 1

    def lost(self) -> None:
        self._kill("lost")

    def crashed(self) -> None:
        self._kill("crashed")

    def notice(self) -> None:
        for id in self._victim():
            self._service.cloud.told("/_notice", {"id": id, "kind": "spot"})

    def throttled(self) -> None:
        self._service.cloud.told("/_faults", {"throttle": 0.5})

    def no_capacity(self) -> None:
        self._service.cloud.told("/_faults", {"no_capacity": 0.5})

    def calm(self) -> None:
        self._service.cloud.told("/_faults", {})

    def _kill(self, how: str) -> None:
        self._service.cloud.told("/_kill", {"ids": self._victim(), "how": how})

    def _victim(self) -> list[str]:
        running = self._service.ours("running")
        return [self._chance.choice(running)] if running else []


class Storm(Weather):
    """Beyond that: replies vanish, and the controller's process is killed."""

    def __init__(self, service: OnAws, seed: int) -> None:
        super().__init__(service, seed)
        self._tiers = service

    def kinds(self) -> tuple[Callable[[], object], ...]:
        return *super().kinds(), self.replies, self.controller

    def replies(self) -> None:
        """Those that lie there now vanish."""
        sqs = connect_clients().sqs
        for url in sqs.list_queues(QueueNamePrefix=f"{self._service.settings.response_queue}-").get("QueueUrls", ()):
            sqs.purge_queue(QueueUrl=url)

    def controller(self) -> None:
        self._tiers.kill("controller")
        self._tiers.start("controller")


@contextmanager
def beside(work: Callable[[], object], every: float) -> Iterator[None]:
    """The work again and again in a thread, as long as the block lasts."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(every):
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def sent_in(weather: Weather, service: OnAws, uploads: list[Upload]) -> tuple[Burst, int]:
    """What came of the uploads, and the most instances that were up at once; it is calm afterwards."""
    counts = [0]
    with beside(weather.change, EVERY), beside(lambda: counts.append(len(service.ours(*UP))), COUNT_EVERY):
        burst = send_some(service.url.removeprefix("http://"), uploads, AT_ONCE)
    weather.calm()
    return burst, max(counts)


def measure(photos: Path, uploads: int, most: int, seed: int) -> Measured:
    sending = bursts(right_answers(images_in(photos)), uploads)
    settings = {"MAX_INSTANCES": str(most), "LEAST_BILL": "0", "SCALE_IN_AFTER": "2", "POLICY": "classic"}
    with (
        tempfile.TemporaryDirectory() as folder,
        service_on_aws(Path(folder), settings, stopped=most, foreign=FOREIGN) as service,
    ):
        service.enrol(SAMPLES / "people")
        before = len(list(service.backend.blobs.list(keys.RESULTS)))
        weather = Storm(service, seed)
        burst, most_up = sent_in(weather, service, next(sending))
        leaked = _at_rest(service)
        backend = service.backend
        return Measured(
            uploads,
            most,
            round(burst.seconds, 1),
            burst.lost,
            burst.wrong,
            len(list(backend.blobs.list(keys.RESULTS))) - before - (uploads - burst.lost),
            backend.requests.depth().backlog + backend.dead.depth().backlog,
            leaked,
            most_up,
            FOREIGN - _untouched(service),
            ", ".join(f"{kind} {count}" for kind, count in sorted(weather.happened.items())),
        )


def _at_rest(service: OnAws) -> int:
    """How many instances stay up, where it does not come to rest."""
    try:
        awaited(service.is_at_rest, "at rest", seconds=300.0)
    except (TimeoutError, ServiceError):
        return len(service.ours(*UP))
    return 0


def _untouched(service: OnAws) -> int:
    ours = set(service.ours(*UP, "stopped", "stopping", "shutting-down", "terminated"))
    return sum(one["state"] == "running" for one in service.instances() if one["id"] not in ours)


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=SAMPLES / "photos")
@click.option("--uploads", default=500, show_default=True, type=click.IntRange(min=1))
@click.option("--most", default=19, show_default=True, type=click.IntRange(min=1), help="Instances at once, at most.")
@click.option("--seed", default=1, show_default=True, help="Of chance.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(photos: Path, uploads: int, most: int, seed: int, *, as_json: bool) -> None:
    """Upload while everything goes wrong, and count what is lost."""
    tell("Uploads in a storm", vars(measure(photos, uploads, most, seed)), as_json=as_json)


if __name__ == "__main__":
    main()

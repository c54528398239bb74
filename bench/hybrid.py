"""A burst of uploads to two clouds: is one's own capacity used first and last, and is all answered?

    python -m bench.hybrid [--uploads 100] [--own 2] [--burst 6] [--down api|power] [--real]
                           [--picture timeline.png] [--json]

Web tier, controller and workers are processes of this machine. One's own cloud speaks OpenStack's protocols, or with
`--real` is OpenStack without a hypervisor (`make openstack`, as root); the other is EC2, emulated. Servers take about
a second to boot, and EC2 has two stopped ones at first. As many uploads as there are own servers come at first, and
the burst once those are up.

`lost`, `wrong`: uploads without an answer, and with another than the bare recogniser's. `came`, `went`: by cloud, when
its first instance was up and when its last one was not any more, in seconds from the first upload. `most_own`,
`most_burst`: the most that were up at once, by the clouds' own word. `first_own`, `last_own`: whether the order is the
right one. `left`: instances that stay up. With `--down`, the private cloud's API is switched off once half is answered,
and on again at the end, when the controller has noticed: `api` leaves its servers at work, `power` takes them with it.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from bench.burst import right_answers
from bench.local import as_ours, awaited
from bench.nova_site import OwnCloud, kill, stand_in, workers_behind
from bench.on_aws import UP, OnAws, service_on_aws
from bench.openstack_plane import missing
from bench.plane_site import real_cloud
from bench.server_processes import Processes
from bench.service import SAMPLES, images_in
from bench.storm import beside
from bench.timeline import Moment, draw
from bench.told import tell
from bench.uploads import Burst, Upload, bursts, judged, post
from facefleet.settings import POLICIES

OWN, BURST = "openstack", "ec2"
#: Seconds between two looks at both clouds and the queue.
LOOK = 0.2
#: How many instances EC2's warm pool has at first.
WARM = 2
DOWN = ("api", "power")


@dataclass(frozen=True)
class Measured:
    uploads: int
    seconds: float
    lost: int
    wrong: int
    most_own: int
    most_burst: int
    came: str
    went: str
    first_own: bool
    last_own: bool
    left: int


class Both:
    """The service over both clouds, and what was seen of it. `marks`: what happened, and when.

    Of servers that lost their power, their cloud alone says that they are up.
    """

    def __init__(self, service: OnAws, cloud: OwnCloud, behind: Processes) -> None:
        self.service, self.cloud, self.behind = service, cloud, behind
        self.moments: list[Moment] = []
        self.marks: list[tuple[float, str]] = []
        self.backend = service.backend
        self._dead: set[str] = set()
        self._began = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._began

    def begins(self) -> None:
        self._began = time.monotonic()
        self.moments.clear()

    def look(self) -> None:
        backlog = self.backend.requests.depth().backlog
        own = set(self.cloud.up()) - self._dead
        self.moments.append(Moment(self.now(), len(own), len(self.service.ours(*UP)), backlog))

    def is_at_rest(self) -> bool:
        return self.service.is_at_rest() and not self.cloud.up()

    def switch_off(self, *, power: bool) -> None:
        self.marks.append((self.now(), "private cloud off" if power else "private API off"))
        up = self.cloud.up()
        self.cloud.switch_off()
        if power:
            kill(self.behind, up)
            self._dead |= set(up)

    def is_told_away(self) -> bool:
        """Whether the controller says that the private cloud does not answer."""
        return not self.service.get("/v1/fleet")["clouds"][OWN]["answers"]

    def switch_on(self) -> None:
        self.marks.append((self.now(), "on again"))
        self.cloud.switch_on()


@contextmanager
def over_both(folder: Path, own: int, burst: int, *, real: bool = False, **settings: str) -> Iterator[Both]:
    """Ready and at rest, with the samples enrolled. `real`: one's own cloud is OpenStack itself."""
    both = {"FLEETS": f"{OWN}:{own},{BURST}:{burst}", "LEAST_BILL": "0", "SCALE_IN_AFTER": "2", **settings}
    with (
        (real_cloud if real else stand_in)(folder / "own") as cloud,
        as_ours(cloud.env),
        service_on_aws(folder, {**both, **cloud.settings}, stopped=WARM) as service,
        workers_behind(cloud, service.env, folder / "own" / "workers.log") as behind,
    ):
        service.enrol(SAMPLES / "people")
        site = Both(service, cloud, behind)
        awaited(site.is_at_rest, "both clouds are at rest")
        yield site


def sent(site: Both, uploads: Sequence[Upload], own: int, halfway: Callable[[], object]) -> Burst:
    """As many as there are own servers at first, and all others once those are up; `halfway`: half are answered."""
    host, answered = site.service.url.removeprefix("http://"), threading.Semaphore(0)

    def one(upload: Upload) -> str | None:
        try:
            return post(host, upload)
        finally:
            answered.release()

    site.begins()
    with ThreadPoolExecutor(len(uploads)) as pool:
        under_way = [pool.submit(one, upload) for upload in uploads[:own]]
        first = list(under_way)
        # The priced policy has one server do the work of a few.
        awaited(lambda: len(site.cloud.up()) == own or all(one.done() for one in first), "one's own are up")
        site.marks.append((site.now(), "burst"))
        under_way += [pool.submit(one, upload) for upload in uploads[own:]]
        for _ in range(len(uploads) // 2):
            answered.acquire()
        halfway()
        answers = [each.result() for each in under_way]
    return judged(site.now(), uploads, answers)


def one_burst(site: Both, uploads: Sequence[Upload], own: int, down: str | None) -> Measured:
    """Begins and ends with both clouds at rest."""

    def halfway() -> None:
        if down is not None:
            site.switch_off(power=down == "power")

    with beside(site.look, LOOK):
        burst = sent(site, uploads, own, halfway)
        if down is not None:
            # Half a burst may take less time than a hanging list is waited for.
            awaited(site.is_told_away, "the private cloud is done without")
            site.switch_on()
        left = _left(site)
    site.look()
    return _measured(site.moments, burst, len(uploads), left)


def _left(site: Both) -> int:
    """How many stay up, where both do not come to rest."""
    try:
        awaited(site.is_at_rest, "both clouds are at rest", seconds=180.0)
    except TimeoutError:
        return len(site.cloud.up()) + len(site.service.ours(*UP))
    return 0


def _measured(moments: Sequence[Moment], burst: Burst, uploads: int, left: int) -> Measured:
    own, other = _span([(m.at, m.own) for m in moments]), _span([(m.at, m.burst) for m in moments])
    return Measured(
        uploads=uploads,
        seconds=round(burst.seconds, 1),
        lost=burst.lost,
        wrong=burst.wrong,
        most_own=max(m.own for m in moments),
        most_burst=max(m.burst for m in moments),
        came=f"own {own[0]:.1f}, burst {other[0]:.1f}",
        went=f"own {own[1]:.1f}, burst {other[1]:.1f}",
        first_own=own[0] < other[0],
        last_own=own[1] >= other[1],
        left=left,
    )


def _span(counts: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """When the first came, and when the last had gone; of none, never."""
    up = [at for at, count in counts if count]
    if not up:
        return float("inf"), float("-inf")
    return up[0], next((at for at, _ in counts if at > up[-1]), up[-1])


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=SAMPLES / "photos")
@click.option("--uploads", default=100, show_default=True, type=click.IntRange(min=2))
@click.option("--own", default=2, show_default=True, type=click.IntRange(min=1), help="Most servers of one's own.")
@click.option("--burst", default=6, show_default=True, type=click.IntRange(min=1), help="Most instances of EC2.")
@click.option("--policy", type=click.Choice(POLICIES), default="classic", show_default=True)
@click.option("--down", type=click.Choice(DOWN), help="What of the private cloud is switched off mid-way.")
@click.option("--real", is_flag=True, help="One's own cloud is OpenStack itself, as `make openstack` made it.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="A PNG or SVG of what happened.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(
    photos: Path,
    uploads: int,
    own: int,
    burst: int,
    policy: str,
    down: str | None,
    picture: Path | None,
    *,
    real: bool,
    as_json: bool,
) -> None:
    """Send a burst to a fleet over two clouds, and see which comes first and which goes last."""
    if real and (why := missing()):
        raise click.UsageError(why)
    sending = next(bursts(right_answers(images_in(photos)), uploads))
    with tempfile.TemporaryDirectory() as folder, over_both(Path(folder), own, burst, real=real, POLICY=policy) as site:
        measured = one_burst(site, sending, own, down)
        if picture is not None:
            draw(site.moments, picture, marks=site.marks, title=f"{uploads} uploads to a service over two clouds")
    tell("A burst over two clouds", vars(measured), as_json=as_json)


if __name__ == "__main__":
    main()

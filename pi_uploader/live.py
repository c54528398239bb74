"""Live mode: a frame every so many seconds, uploads running beside; in the end who was seen when."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue

from pi_uploader.answers import Answer
from pi_uploader.camera import CameraError
from pi_uploader.client import Client
from pi_uploader.settings import BadSettings, Settings
from pi_uploader.sightings import Sighting, p50_p95, sightings, write_csv
from pi_uploader.spool import FRAME, Item, SpoolFull, waits

#: So many can be told of in 30 MB: seven hours of two a second.
MAX_FRAMES = 50_000
#: Seconds without any answer, in the end, after which the rest is left to the next start.
PATIENCE = 90.0
#: How often it is looked whether the last answers are there.
LOOK_EVERY = 0.1


class Wish:
    """An event that signal handlers may set: one of `threading` has a lock, which would stop them for good."""

    def __init__(self) -> None:
        self._said: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        self._said.put(None)

    def is_set(self) -> bool:
        return not self._said.empty()

    def wait(self, timeout: float) -> bool:
        """Whether it is set, by then. For one thread."""
        try:
            self._said.get(timeout=timeout)
        except Empty:
            return False
        self.set()
        return True


@dataclass(frozen=True)
class Ending:
    """`stop`: no more frames. `now`: nor any wait for answers."""

    stop: Wish = field(default_factory=Wish)
    now: Wish = field(default_factory=Wish)

    def ask(self) -> None:
        """The first time to stop, then to end now."""
        (self.now if self.stop.is_set() else self.stop).set()


@dataclass
class Session:
    """What a live session brought. Answers come from several threads."""

    planned: int = 0
    #: When each frame was taken, on the monotonic clock.
    taken: list[float] = field(default_factory=list)
    #: When each that was answered was taken, and who was on it.
    seen: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    #: Seconds from a capture to its answer.
    latencies: list[float] = field(default_factory=list)

    def answered(self, item: Item, answer: Answer, latency: float | None) -> None:
        """One that an earlier process took is not of this session."""
        if latency is not None:
            self.seen.append((item.taken_at + answer.at, answer.people))
            self.latencies.append(latency)


def watch(client: Client, session: Session, ending: Ending, *, csv: Path) -> None:
    """Takes frames until it is time, or `ending` says so; tells, and writes to the file, who was seen when."""
    interval = client.settings.interval
    session.planned = frames_in(client.settings)
    client.open_camera()
    take_frames(client, session, ending)
    # Whoever asks from here on will not wait.
    ending.stop.set()
    await_answers(client, ending.now)
    conclude(client, session, summary(session, interval, lost=client.spool.lost), csv)


def take_frames(client: Client, session: Session, ending: Ending) -> None:
    for number in due(session.planned, client.settings.interval, ending.stop):
        try:
            session.taken.append(client.capture(f"{FRAME}-{number}").since or 0.0)
        except (CameraError, SpoolFull) as e:
            client.say(f"no frame {number}: {e}")


def conclude(client: Client, session: Session, lines: Iterable[str], csv: Path) -> None:
    """Tells these lines and who was seen when, and writes that to the file. Raises `OSError` where it cannot."""
    found = sightings(list(session.seen))
    for line in (*lines, *map(in_words, found)):
        client.say(line)
    try:
        write_csv(csv, found)
    except OSError as e:
        raise OSError(f"who was seen when cannot be written to {csv} ({e.strerror}): name another --csv") from e
    client.say(f"who was seen when: {csv}")


def frames_in(settings: Settings) -> int:
    """At least one. Raises `BadSettings` for more than can be told of in the end."""
    frames = max(1, round(settings.seconds / settings.interval))
    if frames > MAX_FRAMES:
        raise BadSettings(f"{frames} frames are more than {MAX_FRAMES}: have fewer seconds, or a longer interval")
    return frames


def due(frames: int, interval: float, stop: Wish) -> Iterator[int]:
    """Each frame's number, from 1, once it is time for it. One whose time is over with the next's is left out."""
    started = time.monotonic()
    for number in range(1, frames + 1):
        left = started + (number - 1) * interval - time.monotonic()
        if left <= -interval:
            continue
        if stop.wait(max(0.0, left)):
            return
        yield number


def await_answers(client: Client, now: Wish) -> None:
    """Returns once all is answered, or nothing was for long."""
    waiting, heard_at = -1, time.monotonic()
    while left := len(client.spool):
        if left != waiting:
            waiting, heard_at = left, time.monotonic()
        if time.monotonic() - heard_at > PATIENCE or now.wait(LOOK_EVERY):
            client.say(f"{waits(left)} for an answer still; the next start goes on")
            return


def summary(session: Session, interval: float, *, lost: int) -> Iterator[str]:
    yield (
        f"{len(session.taken)} of {session.planned} frames taken, {len(session.latencies)} answered, "
        f"{lost} lost for want of room"
    )
    if times := p50_p95(session.latencies):
        yield f"from capture to answer: p50 {1000 * times[0]:.0f} ms, p95 {1000 * times[1]:.0f} ms"
    if late := p50_p95(jitter(session.taken, interval)):
        yield f"from frame to frame {interval:g} s, off by p50 {1000 * late[0]:.1f} ms, p95 {1000 * late[1]:.1f} ms"


def in_words(sighting: Sighting) -> str:
    frames = "1 frame" if sighting.frames == 1 else f"{sighting.frames} frames"
    return f"  {sighting.person}: {frames} in {sighting.last - sighting.first:.1f} s"


def jitter(taken: list[float], interval: float) -> list[float]:
    """For each two frames on end, how far from the interval they lay apart, in seconds."""
    return [abs(after - before - interval) for before, after in pairwise(taken)]

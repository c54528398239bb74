"""Video mode: one recording, as clips that are uploaded while it goes on, and frames; in the end who was seen when."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from pi_uploader.answers import Answer
from pi_uploader.camera import CameraError, NoCamera
from pi_uploader.client import Client
from pi_uploader.live import MAX_FRAMES, Ending, Session, await_answers, conclude, frames_in, summary, take_frames
from pi_uploader.recording import PATIENCE
from pi_uploader.settings import BadSettings, Settings
from pi_uploader.sightings import p50_p95
from pi_uploader.spool import CLIP, Item, SpoolFull

#: Seconds until it is looked whether to go on without a clip.
LISTEN = 0.25
#: Seconds until a camera that failed is opened anew.
RETRY = 3.0


@dataclass
class Filming(Session):
    """What a session brought: of its frames, and of its clips."""

    #: Clips that came, those as well for which there was no room.
    came: int = 0
    #: When the first and the last frame of each that was kept were taken, on the monotonic clock.
    clips: list[tuple[float, float]] = field(default_factory=list)
    #: Seconds from the end of a clip to its answer.
    clip_latencies: list[float] = field(default_factory=list)

    def answered(self, item: Item, answer: Answer, latency: float | None) -> None:
        if not item.is_clip or latency is None:
            return super().answered(item, answer, latency)
        self.seen.append((item.taken_at + answer.at, answer.people))
        self.clip_latencies.append(latency)
        return None


def film(client: Client, session: Filming, ending: Ending, *, csv: Path) -> None:
    """Records until it is time, or `ending` says so; tells, and writes to the file, who was seen when.

    Raises `BadSettings` for more than can be told of in the end, and `CameraError` where there is none to begin with.
    """
    settings = client.settings
    check_length(settings)
    client.open_camera()
    has_frames = settings.record == "both" and gives_photos(client)
    ends = time.monotonic() + settings.seconds
    with kept_clips(client, session):
        if has_frames:
            session.planned = frames_in(settings)
            take_frames(client, session, ending)
        # The last frame may be long before.
        ending.stop.wait(max(0.0, ends - time.monotonic()))
    # Whoever asks from here on will not wait.
    ending.stop.set()
    await_answers(client, ending.now)
    spool = client.spool
    lines = [*in_words(session, lost=spool.lost_clips)]
    if has_frames:
        lines += summary(session, settings.interval, lost=spool.lost - spool.lost_clips)
    conclude(client, session, lines, csv)


def check_length(settings: Settings) -> None:
    clips = settings.seconds / settings.segment_seconds
    if clips > MAX_FRAMES:
        raise BadSettings(f"{clips:.0f} clips are more than {MAX_FRAMES}: have fewer seconds, or longer clips")
    frames_in(settings)


def gives_photos(client: Client) -> bool:
    """False of a folder that has clips alone. Raises `CameraError`."""
    try:
        client.open_camera().still()
    except NoCamera as e:
        client.say(f"no frames: {e}")
        return False
    return True


@contextmanager
def kept_clips(client: Client, session: Filming) -> Iterator[None]:
    """Meanwhile, in a thread of its own, each clip goes into the spool as soon as it is whole; in the end the last."""
    over = threading.Event()
    thread = threading.Thread(target=keep_until, args=(client, session, over), name="clips", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        # Whatever it waits for has a bound, and what hangs in a driver does not keep the answers from us.
        thread.join(2.0 * PATIENCE)
    with suppress(CameraError):
        camera = client.open_camera()
        camera.end()
        while keep_next(client, session, 0.0):
            pass
    client.close_camera()


def keep_until(client: Client, session: Filming, over: threading.Event) -> None:
    while not over.is_set():
        try:
            keep_next(client, session, LISTEN)
        except CameraError as e:
            client.say(f"no clips: {e}")
            client.close_camera()
            over.wait(RETRY)


def keep_next(client: Client, session: Filming, timeout: float) -> bool:
    """Whether there was a clip in time. Raises `CameraError`."""
    if (clip := client.open_camera().clip(timeout)) is None:
        return False
    session.came += 1
    try:
        client.keep(clip, f"{CLIP}-{session.came}")
        session.clips.append((clip.began, clip.ended))
    except SpoolFull as e:
        client.say(f"no clip {session.came}: {e}")
    return True


def in_words(session: Filming, *, lost: int) -> Iterator[str]:
    clips = session.clips
    took = sum(ended - began for began, ended in clips)
    yield f"{len(clips)} clips of {took:.1f} s in all taken, {len(session.clip_latencies)} answered, {lost} lost"
    if times := p50_p95(session.clip_latencies):
        yield f"from the end of a clip to its answer: p50 {1000 * times[0]:.0f} ms, p95 {1000 * times[1]:.0f} ms"
    if gaps := [after[0] - before[1] for before, after in pairwise(clips)]:
        yield f"from the last frame of a clip to the first of the next: at most {1000 * max(gaps):.0f} ms"

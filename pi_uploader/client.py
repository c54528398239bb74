"""All that stands between the camera and an answer, for one process."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from pi_uploader.answers import Answer, Outcome
from pi_uploader.camera import Camera, CameraError, open_camera
from pi_uploader.door import Away, Door
from pi_uploader.journal import Journal
from pi_uploader.lights import Lights
from pi_uploader.recording import Clip
from pi_uploader.service import Service
from pi_uploader.settings import Settings
from pi_uploader.spool import Item, Spool, SpoolFull, waits
from pi_uploader.uploader import Heard, Uploader

log = logging.getLogger(__name__)

#: Seconds that an upload in hand has to end with the program.
LAST_ANSWER = 5.0
ANSWERS = "answers.csv"

#: Told of each answer, and of the seconds from the capture until it was there; None where an earlier process took it.
Answered = Callable[[Item, Answer, float | None], None]
#: Says a line to whoever is there.
Say = Callable[[str], None]


class Client:
    """Takes captures; answers come to `answered`, from other threads. Made by `opened`."""

    def __init__(
        self, settings: Settings, lights: Lights, say: Say, answered: Answered, *, uploads: int, records: bool = False
    ) -> None:
        self.settings = settings
        self._records = records
        self.door = Door(settings)
        self.lights = lights
        self.say = say
        self.spool = Spool(settings.spool, max_bytes=settings.spool_bytes, free_bytes=settings.free_bytes)
        self._journal = Journal(settings.folder / ANSWERS, keep_days=settings.keep_days)
        self._answered = answered
        self._camera: Camera | None = None
        self._opening = threading.Lock()
        self._captures = False
        self._away: str | None = None
        self._telling = threading.Lock()
        heard = Heard(answered=self._hear, away=self._hear_away)
        service = Service(self.door, presigned=settings.upload == "presigned")
        self.uploader = Uploader(self.spool, service, self._journal, heard, uploads=uploads)

    def open_camera(self) -> Camera:
        """The camera, opened if it is not, and recording if this client records. Raises `CameraError`."""
        with self._opening:
            if self._camera is None:
                camera = open_camera(self.settings.camera, (self.settings.width, self.settings.height))
                try:
                    if self._records:
                        camera.record(self.settings.segment_seconds, self.settings.clip)
                except CameraError:
                    camera.close()
                    raise
                self._camera = camera
            return self._camera

    def capture(self, label: str = "photo") -> Item:
        """A new capture, safe in the spool, on its way. Raises `CameraError` and `SpoolFull`."""
        self._work(captures=True)
        try:
            image = self.open_camera().still()
            return self.spool.put(image, taken_at=time.time(), since=time.monotonic(), label=label)
        except (CameraError, SpoolFull) as e:
            if isinstance(e, CameraError) and not self._records:
                # It may have been unplugged: whoever asks next opens it anew. Of a recording, there may be clips yet.
                self.close_camera()
            self.lights.answered(Outcome.REFUSED)
            raise
        finally:
            self._work(captures=False)

    def keep(self, clip: Clip, label: str) -> Item:
        """A clip of the camera's, safe in the spool, on its way. Raises `SpoolFull`."""
        item = self.spool.put(clip.data, taken_at=clip.taken_at, since=clip.ended, label=label)
        self._work()
        return item

    def close_camera(self) -> None:
        with self._opening:
            camera, self._camera = self._camera, None
            if camera is not None:
                camera.close()

    def settle(self) -> None:
        """What an earlier process had its answer to, and could not delete any more, goes."""
        items = {item.key: item for item in self.spool.items()}
        for key in self._journal.answered(set(items)):
            self.spool.remove(items[key])
        if left := len(self.spool):
            self.say(f"{waits(left)} from before, to be sent now")
        self._work()

    def tidy(self) -> None:
        try:
            self._journal.tidy(time.time())
        except OSError:
            log.exception("old answers cannot be thrown away")

    def _hear(self, item: Item, answer: Answer) -> None:
        latency = None if item.since is None else time.monotonic() - item.since
        self.lights.answered(answer.outcome)
        self._work()
        self._answered(item, answer, latency)

    def _work(self, *, captures: bool | None = None) -> None:
        """Has the LED say what is so: told by two threads, an answer could put out the light of the next press."""
        with self._telling:
            self._captures = self._captures if captures is None else captures
            self.lights.working(self._captures or len(self.spool) > 0)

    def _hear_away(self, away: Away | None) -> None:
        """Said once for each reason, and once when it is over."""
        words = None if away is None else str(away)
        with self._telling:
            before, self._away = self._away, words
            self.lights.offline(away is not None)
        if words == before:
            return
        self.say(f"{words}; {waits(len(self.spool))}" if words else "the service answers again")


@contextmanager
def opened(
    settings: Settings, lights: Lights, say: Say, answered: Answered, *, uploads: int, records: bool = False
) -> Iterator[Client]:
    """A client at work; `records`: its camera does while it is open.

    Raises `SpoolBusy`, and `OSError` where its folder cannot be used.
    """
    with ExitStack() as closing:
        client = Client(settings, lights, say, answered, uploads=uploads, records=records)
        closing.enter_context(client.spool)
        # What is tidied away can settle nothing any more.
        client.settle()
        client.tidy()
        closing.callback(client.close_camera)
        closing.callback(client.uploader.stop, LAST_ANSWER)
        client.uploader.start()
        yield client

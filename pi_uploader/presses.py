"""Button mode: each press takes a photo and tells who is on it; a press that lasts ends the program."""

import os
import sys
import threading
from enum import Enum, auto
from pathlib import Path
from queue import Empty, SimpleQueue

from pi_uploader import supervision
from pi_uploader.answers import Answer
from pi_uploader.camera import BadCamera, CameraError
from pi_uploader.client import Client, Say
from pi_uploader.spool import Item, SpoolFull

#: Presses that wait while the camera is busy; more say nothing new.
MAX_PRESSES = 5
#: Seconds between two looks whether all gets on. A wait may end before it hears of a signal, on Windows always
#: (https://bugs.python.org/issue35935), elsewhere where one comes just as other threads want to run: seen with 1 in 30.
LOOK_EVERY = 1.0
#: In the unit's runtime folder: systemd, which watches for it, powers the machine off.
POWEROFF = "poweroff"


class Event(Enum):
    PRESS = auto()
    HELD = auto()
    STOP = auto()


class Events:
    """What happens, in order; from threads and from signal handlers, which a lock would stop for good."""

    def __init__(self) -> None:
        self._events: SimpleQueue[Event] = SimpleQueue()

    def press(self) -> None:
        if self._events.qsize() < MAX_PRESSES:
            self._events.put(Event.PRESS)

    def hold(self) -> None:
        self._events.put(Event.HELD)

    def stop(self) -> None:
        self._events.put(Event.STOP)

    def next(self, timeout: float) -> Event | None:
        """None if nothing happens in time."""
        try:
            return self._events.get(timeout=timeout)
        except Empty:
            return None

    def listen_to_keyboard(self) -> None:
        """From now on each Enter is a press, as long as there is a keyboard."""
        if sys.stdin is not None:
            threading.Thread(target=self._read_keyboard, name="keyboard", daemon=True).start()

    def _read_keyboard(self) -> None:
        # As bytes, in whatever encoding: Enter is Enter. And without a buffer: its lock, which this thread has while it
        # waits, would be wanted when Python ends.
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as keyboard:
            for _ in keyboard:
                self.press()
            # Ctrl-D, after which there would be no button any more; without a terminal there was none, ever.
            if keyboard.isatty():
                self.stop()


def answer_presses(client: Client, events: Events) -> Event:
    """Returns what ended it: `HELD` or `STOP`."""
    open_early(client)
    supervision.ready()
    while (event := events.next(LOOK_EVERY)) not in (Event.HELD, Event.STOP):
        if event is Event.PRESS:
            take(client)
        client.tidy()
        if client.uploader.gets_on():
            supervision.alive()
    supervision.stopping()
    return event


def open_early(client: Client) -> None:
    """So that the first press finds a camera that has got used to the light. One that is missing may come yet.

    Raises `BadCamera` for one that never will.
    """
    try:
        client.open_camera()
    except BadCamera:
        raise
    except CameraError as e:
        client.say(str(e))


def take(client: Client) -> None:
    try:
        client.capture()
    except (CameraError, SpoolFull) as e:
        client.say(f"no photo: {e}")
        return
    client.uploader.nudge()


def tell(say: Say, item: Item, answer: Answer, latency: float | None) -> None:
    """`photo 42: Paul (similarity 0.97) (231 ms, round trip 228 ms)`."""
    took = "taken earlier" if latency is None else f"{1000 * latency:.0f} ms"
    name = item.label.replace("-", " ", 1) if item.is_live else f"{item.label} {item.number}"
    say(f"{name}: {answer.words} ({took}, round trip {1000 * answer.round_trip:.0f} ms)")


def ask_for_poweroff(runtime: str | None = None) -> bool:
    """Has systemd power the machine off, where `install.sh` has set it up to; False where not."""
    if not (runtime := runtime or os.environ.get("RUNTIME_DIRECTORY")):
        return False
    (Path(runtime) / POWEROFF).touch()
    return True

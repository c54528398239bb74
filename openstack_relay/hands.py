"""Processes that recognise for the relay, one on each core: faces are found by CPU, and more at once would be slower.

Apart from the relay, since a clip may crash or hang what reads it: then that process ends, and another takes its place.
"""

import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, LifoQueue
from threading import Event

from facefleet.arrivals import Arrival
from facefleet.errors import Unavailable
from facefleet.wire import GARBAGE, Json
from openstack_relay.doing import Failed
from openstack_relay.recognising import lines

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "openstack_relay.recognising")
#: Seconds until the models are loaded; the very first time they are converted as well.
START_TIMEOUT = 120.0
#: Seconds for the object in hand at the end, before a process is killed.
END_TIMEOUT = 30.0
#: Seconds that an object waits for a process. With these and those above, one that then takes all of its own time is
#: not held for so long that the relay would be taken for one that hangs.
LONGEST_WAIT = 150.0
#: How often somebody who waits for a process looks whether the relay ends.
LOOK = 0.5
#: Of an answer: a crowd's clip has a megabyte or two.
MOST_BYTES = 32_000_000
CHUNK = 65_536


class Hand:
    """One process, started when it is first asked; of one thread at a time."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command = command
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False

    def start(self) -> None:
        """Does not wait until it can work."""
        if self._ready and self._process is not None and self._process.poll() is not None:
            # It ended with nothing in hand, for want of memory, say: no object is to blame.
            log.warning("who recognised ended with %s: another takes its place", self._kill())
        if self._process is None:
            # Our own command, and no shell.
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603

    def __call__(self, arrival: Arrival) -> Json | None:
        """The result; None where the object is gone. Raises `Failed`, also where the process ended or hung over it."""
        self._await_ready()
        try:
            self._say(lines.ask(arrival))
            answer = self._line(self._timeout)
        except OSError as e:
            raise Failed(f"{e}: who recognised it ended with {self._kill()}") from e
        try:
            return self._of(arrival, lines.answered(answer))
        except GARBAGE as e:
            # Whatever else it says would be taken for the answer to the next one.
            self._kill()
            raise Failed(f"who recognised it answered something else ({type(e).__name__}), and was ended") from e

    def _of(self, arrival: Arrival, result: Json | None) -> Json | None:
        if result is not None and result["id"] != arrival.job_id:
            raise ValueError("another's result")
        return result

    def _await_ready(self) -> None:
        """Raises `Unavailable` where it does not come up: its own words are in our log."""
        try:
            self.start()
            if not self._ready:
                if self._line(START_TIMEOUT) != lines.READY:
                    raise BrokenPipeError("it said something else than that it is ready")
                self._ready = True
        except OSError as e:
            raise Unavailable(f"{e}: who is to recognise did not come up, and ended with {self._kill()}") from e

    def _kill(self) -> int | None:
        """Ends it now; the next one asked for is another. Returns its exit status."""
        process, self._process, self._ready = self._process, None, False
        return None if process is None else _ended(process, 0.0)

    def close(self) -> None:
        """Has it finish what it has in hand, and end."""
        process, self._process, self._ready = self._process, None, False
        if process is not None:
            _ended(process, END_TIMEOUT)

    def _say(self, line: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None  # noqa: S101  # `start` came before
        self._process.stdin.write(line)

    def _line(self, timeout: float) -> bytes:
        """Raises `TimeoutError`, or `BrokenPipeError` where it ended."""
        assert self._process is not None and self._process.stdout is not None  # noqa: S101  # `start` came before
        output, read, deadline = self._process.stdout.fileno(), b"", time.monotonic() + timeout
        while not read.endswith(b"\n"):
            if not select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"no answer within {timeout:.0f} s")
            if not (more := os.read(output, CHUNK)) or len(read) > MOST_BYTES:
                raise BrokenPipeError("no whole answer")
            read += more
        return read


class Hands:
    """As many as there are cores, and never more objects at work than these."""

    def __init__(self, count: int, timeout: float, *, command: Sequence[str] = COMMAND) -> None:
        """`timeout`: seconds that an object may take once it is begun."""
        self.count = count
        self._timeout = timeout
        self._all = [Hand(command, timeout) for _ in range(count)]
        self._free: LifoQueue[Hand] = LifoQueue()
        self._ends = Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """At the end each has finished what it had in hand."""
        for hand in self._all:
            hand.start()
            self._free.put(hand)
        try:
            yield
        finally:
            self._ends.set()
            for hand in self._all:
                hand.close()

    def __call__(self, arrival: Arrival) -> Json | None:
        """As a hand does it, once one is free."""
        hand = self._one()
        try:
            return hand(arrival)
        finally:
            self._free.put(hand)

    def _one(self) -> Hand:
        deadline = time.monotonic() + min(self._timeout, LONGEST_WAIT)
        while not self._ends.is_set() and time.monotonic() < deadline:
            with suppress(Empty):
                return self._free.get(timeout=LOOK)
        raise Unavailable("all who recognise are at work: it comes again")


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def _ended(process: "subprocess.Popen[bytes]", patience: float) -> int:
    with suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        if patience:
            process.wait(patience)
    process.kill()
    if process.stdout is not None:
        process.stdout.close()
    return process.wait()

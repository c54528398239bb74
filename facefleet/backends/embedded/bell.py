"""Wakes receivers that sleep in other processes: a named pipe each, in a folder beside the queue.

A named pipe and not a Unix socket, because a socket's path may have 108 bytes and a data folder's may be longer.
"""

import errno
import os
import select
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4
from weakref import finalize

#: How late a sleeper notices its stop flag.
STOP_SLICE = 0.2
#: What a pipe holds, on Linux.
PIPE_BYTES = 65_536
#: Pipes that are kept while nobody listens.
MAX_IDLE = 4


class Bell:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Kept for the next time: to make a pipe for each wait is a dozen calls, and a file to be deleted.
        self._idle: deque[Ear] = deque()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def ring(self) -> None:
        """Wakes every sleeper; the pipe of one that died is removed."""
        for pipe in self._folder.glob("*.pipe"):
            try:
                fd = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as e:
                if e.errno == errno.ENXIO:
                    # Nobody reads it: its process was killed, or has just stopped listening.
                    pipe.unlink(missing_ok=True)
                continue
            # A full pipe belongs to a sleeper that is being woken anyway.
            with suppress(OSError):
                os.write(fd, b"!")
            os.close(fd)

    @contextmanager
    def listen(self) -> Iterator["Ear"]:
        """From here on no ring is missed."""
        try:
            ear = self._idle.pop()
        except IndexError:
            ear = self._made()
        ear.forget()
        try:
            yield ear
        finally:
            if len(self._idle) < MAX_IDLE:
                self._idle.append(ear)

    def _made(self) -> "Ear":
        pipe = self._folder / f"{os.getpid()}-{uuid4().hex}.pipe"
        unheard = pipe.with_suffix(".new")
        os.mkfifo(unheard, 0o600)
        # Opened for writing too, so that the last ringer's leaving does not look like an endless end of file.
        fd = os.open(unheard, os.O_RDWR | os.O_NONBLOCK)
        # Renamed only now: a ringer removes pipes that nobody has open.
        unheard.rename(pipe)
        return Ear(fd, pipe)


class Ear:
    """A pipe, for as long as somebody holds this."""

    def __init__(self, fd: int, pipe: Path) -> None:
        self._fd = fd
        finalize(self, _remove, fd, pipe)

    def forget(self) -> None:
        """Nothing is heard any more of what rang until now."""
        with suppress(BlockingIOError):
            while os.read(self._fd, PIPE_BYTES):
                pass

    def wait(self, seconds: float, stop: threading.Event | None) -> None:
        """Returns after so many seconds, at a ring, or soon after `stop` is set."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not (stop and stop.is_set()):
            # `poll`, because `select` refuses file numbers from 1024 on, and a web tier has thousands.
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            if poll.poll(1000 * (min(left, STOP_SLICE) if stop else left)):
                self.forget()
                return


def _remove(fd: int, pipe: Path) -> None:
    pipe.unlink(missing_ok=True)
    os.close(fd)

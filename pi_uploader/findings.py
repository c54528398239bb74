"""What a check-up finds, and looks that may hang without keeping others waiting."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing is. `next`: what to do, in words; beside an `ok`, what to know."""

    check: str
    ok: bool
    detail: str
    next: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """`find` is given up after so many seconds; `stuck` says what to do then."""

    check: str
    find: Callable[[], Iterable[Finding]]
    seconds: float
    stuck: str


def found(look: Look) -> Iterator[Finding]:
    """Each as soon as it is known, and an end in time; never raises."""
    findings, told = SimpleQueue[Finding | None](), threading.Semaphore(0)
    start(partial(_run, look, findings.put, partial(told.acquire, timeout=look.seconds)))
    deadline = time.monotonic() + look.seconds
    while True:
        try:
            finding = findings.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            yield Finding(look.check, False, f"no result within {look.seconds:g} s", look.stuck)
            return
        if finding is None:
            return
        yield finding
        told.release()


def start(act: Callable[[], object]) -> threading.Thread:
    """In a thread that ends with the process: a driver that hangs cannot be stopped."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def _run(look: Look, put: Callable[[Finding | None], object], await_told: Callable[[], object]) -> None:
    try:
        for finding in look.find():
            put(finding)
            # Else what the next one asks for would be read before what this one found.
            await_told()
    except Exception as e:
        # Whatever breaks is what was looked for, and the other looks go on.
        put(Finding(look.check, False, f"cannot be looked at ({type(e).__name__}: {e})", look.stuck))
    put(None)

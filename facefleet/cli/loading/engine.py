"""Sends uploads at a pace, from as many threads as may be under way at a time, and tells what came of each."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event, Lock, Thread

from facefleet.cli.loading.answer import INTERRUPTED, Answer, NoAnswer
from facefleet.cli.loading.entrances import Entrance
from facefleet.cli.loading.patience import Patience
from facefleet.cli.loading.work import Upload
from facefleet.model import Failure

#: Seconds for those under way when somebody stops us.
GRACE = 2.0
#: Seconds between two looks whether a thread has ended without a word.
LOOK = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How many may be under way at a time, how many begin in a second (None: as fast as answers come), and how long
    one may take.
    """

    concurrency: int
    rate: float | None
    timeout: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one upload. Seconds from when it was due until it was over; `late`: of these, until it was sent."""

    upload: Upload
    latency: float
    late: float
    retries: int
    answer: Answer | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """An upload, and when its turn is, by the monotonic clock."""

    upload: Upload
    at: float


class Run:
    """`enter`: makes each thread's entrance. Iterate once; it ends early soon after `stop` is set."""

    def __init__(self, uploads: Iterable[Upload], enter: Callable[[], Entrance], pace: Pace, stop: Event) -> None:
        self._uploads, self._enter, self._pace, self._stop = iter(uploads), enter, pace, stop
        self._lock = Lock()
        #: What began and was not told of yet.
        self._under_way: dict[int, Due] = {}
        # Bounded: a disk that is slow to take the results slows the sending, and fills no memory.
        self._done: Queue[Outcome | Exception | None] = Queue(maxsize=2 * pace.concurrency)
        self._started = time.monotonic()
        self._sent = 0

    def __iter__(self) -> Iterator[Outcome]:
        self._started = time.monotonic()
        # Daemons: one that waits for an answer must not keep us when somebody stops us.
        threads = [Thread(target=self._work, daemon=True) for _ in range(self._pace.concurrency)]
        for thread in threads:
            thread.start()
        yield from self._outcomes(len(threads))
        yield from self._abandoned()

    def _outcomes(self, working: int) -> Iterator[Outcome]:
        """Until all threads have ended, or those that were under way when we were stopped had their time."""
        until: float | None = None
        while working:
            if self._stop.is_set():
                until = until or time.monotonic() + GRACE
                if time.monotonic() > until:
                    return
            try:
                done = self._done.get(timeout=LOOK)
            except Empty:
                continue
            if done is None:
                working -= 1
            elif isinstance(done, Exception):
                raise done
            else:
                # Not before: each upload that began is told of once, whenever we are stopped.
                with self._lock:
                    del self._under_way[done.upload.number]
                yield done

    def _abandoned(self) -> Iterator[Outcome]:
        """Those whose answers nobody waits for any more: they were sent, and count."""
        now = time.monotonic()
        with self._lock:
            rest = list(self._under_way.values())
        for due in rest:
            failure = Failure(INTERRUPTED, "stopped before it was answered")
            yield Outcome(due.upload, now - due.at, 0.0, 0, failure=failure)

    def _work(self) -> None:
        try:
            with closing(self._enter()) as entrance:
                while (due := self._next()) is not None:
                    self._done.put(self._send(entrance, due))
        except Exception as e:
            # For the thread that reads, which raises it.
            self._stop.set()
            self._done.put(e)
        finally:
            self._done.put(None)

    def _next(self) -> Due | None:
        """The next upload, once its turn has come; None where there is none, or we were stopped."""
        with self._lock:
            if self._stop.is_set() or (upload := next(self._uploads, None)) is None:
                return None
            rate, number = self._pace.rate, self._sent
            self._sent += 1
        at = time.monotonic() if rate is None else self._started + number / rate
        if self._stop.wait(max(0.0, at - time.monotonic())):
            return None
        due = Due(upload, at)
        with self._lock:
            self._under_way[upload.number] = due
        return due

    def _send(self, entrance: Entrance, due: Due) -> Outcome:
        late, patience = time.monotonic() - due.at, Patience(self._pace.timeout, self._stop)
        answer, failure = None, None
        try:
            answer = entrance.send(due.upload, patience)
        except NoAnswer as e:
            # Not itself: its traceback holds the file's bytes until a garbage collection.
            failure = Failure(e.code, e.detail)
        return Outcome(due.upload, time.monotonic() - due.at, late, patience.retries, answer, failure)

"""The relay's process: a loop for each queue, and beside them who keeps leases, says that it lives, and forgets."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from facefleet import supervision
from facefleet.errors import ServiceError
from openstack_relay.intake import Intake
from openstack_relay.spool import Spool

log = logging.getLogger(__name__)

#: Seconds between two signs of life, and for which one may be told from a dead one by them.
BEAT, STALE = 2.0, 10.0
#: From one sign of a loop to the next, besides a call: AWS may leave a long poll unanswered for as long as its client
#: is patient.
LONGEST_TURN = 300.0
#: So many time-outs may an event take at most: for its other objects, for who is free to do the last one, and for that.
WAITS = 3
#: Between two looks for what is to be forgotten.
FORGET_EVERY = 600.0


class Relay:
    def __init__(self, spool: Spool, intakes: Mapping[str, Intake], *, timeout: float, keep: float) -> None:
        """`intakes`: by what they are called in its status; `timeout`: of one event; `keep`: seconds of the spool."""
        self._spool = spool
        self._intakes = intakes
        self._longest = WAITS * timeout + LONGEST_TURN
        self._keep = keep
        self._since = time.time()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; then nothing is received any more, and what is in hand is finished."""
        done = threading.Event()
        beside = [
            self._thread("beat", partial(self._repeat, self._beat, done, BEAT)),
            self._thread("forget", partial(self._repeat, self._forget, done, FORGET_EVERY)),
        ]
        loops = []
        for name, intake in self._intakes.items():
            beside.append(self._thread(f"leases of {name}", partial(intake.leases.keep, done)))
            loops.append(self._thread(name, partial(intake.run, stop)))
        try:
            for loop in loops:
                # In turns, so that a signal is heeded meanwhile.
                while loop.is_alive():
                    loop.join(BEAT)
        finally:
            done.set()
            for thread in beside:
                thread.join()
        with suppress(ServiceError):
            # Where it cannot be said, silence says it, a moment later.
            self._spool.beats(json.dumps({"ended": True}))

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread

    def _repeat(self, work: Callable[[], None], done: threading.Event, every: float) -> None:
        while True:
            try:
                work()
            except ServiceError as e:
                log.warning("%s", e)
            except Exception:
                log.exception("it goes on after an error")
            if done.wait(every):
                return

    def _beat(self) -> None:
        """Says that it lives, where it does, and what it does."""
        now = time.monotonic()
        if all(self._gets_on(one, now) for one in self._intakes.values()):
            supervision.alive()
        told = self.told()
        supervision.status(in_words(told["pauses"], told["in hand"]))
        self._spool.beats(json.dumps(told))

    def _gets_on(self, one: Intake, now: float) -> bool:
        # A turn may hold a question to the function, which waits as long as a call does.
        return max(now - one.turned_at, one.leases.longest()) <= self._longest

    def told(self) -> dict[str, dict[str, object]]:
        return {
            "process": {"pid": os.getpid(), "since": self._since},
            "in hand": {name: len(one.leases) for name, one in self._intakes.items()},
            "pauses": {name: one.pause.why for name, one in self._intakes.items() if one.pause.why},
        }

    def _forget(self) -> None:
        if gone := self._spool.forget(time.time() - self._keep):
            log.info("%d rows of the spool are forgotten", gone)


def in_words(pauses: Mapping[str, object], in_hand: Mapping[str, object]) -> str:
    """One line: `input: 3 in hand; output: waits: …`."""
    return "; ".join(
        f"{name}: waits: {pauses[name]}" if name in pauses else f"{name}: {count} in hand"
        for name, count in in_hand.items()
    )

"""A cloud that does as a test says, and notes what it was asked for."""

import threading
import time
from dataclasses import dataclass, field

from facefleet.model import Instance, InstanceState
from facefleet.ports import Share

RUNNING = InstanceState.RUNNING


@dataclass
class Place:
    """A cloud. `error`: raised by every call; `refuses`: by these alone; `hangs`: nothing returns until it is set.

    `takes`: seconds of each call.
    """

    ids: list[str]
    offers: tuple[str, ...] = ("small",)
    can_rest: tuple[str, ...] = ()
    shares: tuple[Share, ...] = ()
    settles_after: float = 0.0
    at_once: int = 2
    error: Exception | None = None
    refuses: dict[str, Exception] = field(default_factory=dict)
    hangs: threading.Event | None = None
    takes: float = 0.0
    asked: list[tuple[str, object]] = field(default_factory=list)
    together: list[int] = field(default_factory=list)
    _inside: int = 0

    def instances(self) -> list[Instance]:
        self._call("instances", None)
        return [Instance(id, RUNNING, 1.0) for id in self.ids]

    def launch(self, token: str, offer: str) -> str:
        self._call("launch", offer)
        self.ids.append(f"{self.ids[0]}-{token}")
        return self.ids[-1]

    def start(self, ids: list[str]) -> None:
        self._call("start", ids)

    def retire(self, ids: list[str]) -> None:
        self._call("retire", ids)

    def end(self, ids: list[str]) -> None:
        self._call("end", ids)

    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.asked]

    def _call(self, verb: str, what: object) -> None:
        self.asked.append((verb, what))
        self._inside += 1
        self.together.append(self._inside)
        if self.hangs is not None:
            self.hangs.wait(30.0)
        time.sleep(self.takes)
        self._inside -= 1
        if (error := self.refuses.get(verb, self.error)) is not None:
            raise error

"""The spool of the Pi client over any order of events, against a list that says what it should hold."""

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pi_uploader.spool import Item, Spool, SpoolFull, item_of

MAX_BYTES = 1000


class Spooling(RuleBasedStateMachine):
    """`line`: those that wait, in order; `in_hand`: those that were taken; by the rules that spool.py states."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="spool-")
        self.spool = self.opened()
        self.images: dict[Item, bytes] = {}
        self.line: list[Item] = []
        self.in_hand: list[Item] = []
        self.turns: dict[Item, int] = {}
        self.keys: set[str] = set()

    def opened(self) -> Spool:
        return Spool(Path(self.folder.name), max_bytes=MAX_BYTES, free_bytes=0)

    @rule(size=st.integers(1, 600), label=st.sampled_from(["photo", "frame-1", "enrol-mary"]), at=st.floats(0, 2e9))
    def put(self, size: int, label: str, at: float) -> None:
        image = bytes([len(self.keys) % 250]) * size
        goes = self.frames_that_go_for(size)
        try:
            item = self.spool.put(image, taken_at=at, label=label)
        except SpoolFull:
            assert goes is None
            return
        assert goes is not None and item.key not in self.keys
        self.keys.add(item.key)
        for frame in goes:
            self.line.remove(frame)
            del self.images[frame]
        self.images[item] = image
        self.queue(item)

    def queue(self, *items: Item) -> None:
        self.line = sorted([*self.line, *items], key=lambda item: (self.turns.get(item, 0), item))

    def frames_that_go_for(self, size: int) -> list[Item] | None:
        """None where even all of them would not do."""
        going, held = [], sum(map(len, self.images.values()))
        frames = iter(sorted(item for item in self.line if item.label.startswith("frame")))
        while held + size > MAX_BYTES:
            if (frame := next(frames, None)) is None:
                return None
            going.append(frame)
            held -= len(self.images[frame])
        return going

    @rule()
    def take(self) -> None:
        item = self.spool.take(0)
        assert item == (self.line[0] if self.line else None)
        if item is not None:
            self.in_hand.append(self.line.pop(0))
            assert self.spool.read(item) == self.images[item]

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.in_hand))
        self.in_hand.remove(item)
        del self.images[item]
        self.spool.remove(item)
        self.spool.give_back(item)

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data())
    def let_others_go_first(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.in_hand))
        self.in_hand.remove(item)
        self.turns[item] = max(self.turns.values(), default=0) + 1
        self.queue(item)
        self.spool.give_back(item, last=True)

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.in_hand))
        self.in_hand.remove(item)
        self.queue(item)
        self.spool.give_back(item)

    @rule()
    def restart(self) -> None:
        with self.spool:
            pass
        self.spool = self.opened()
        self.turns = {}
        self.queue(*self.in_hand)
        self.in_hand = []

    @invariant()
    def nothing_is_lost_and_all_is_within_bounds(self) -> None:
        if not hasattr(self, "spool"):
            return
        sizes = {path.name: path.stat().st_size for path in Path(self.folder.name).iterdir() if item_of(path.name)}
        assert sizes == {item.name: len(image) for item, image in self.images.items()}
        assert sum(sizes.values()) <= MAX_BYTES
        assert self.spool.items() == sorted(self.images)
        assert self.spool.others_wait() == bool(self.line)

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            with self.spool:
                pass
            self.folder.cleanup()


TestSpooling = Spooling.TestCase
TestSpooling.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

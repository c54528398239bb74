"""From the spool to whoever shows the answer: in order, for as long as it takes, and once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hardware import until
from standin import Asked, Reply, Said, StandIn, problem, result

from pi_uploader import uploader as uploaders
from pi_uploader.answers import Answer, Outcome
from pi_uploader.door import Away, Door
from pi_uploader.journal import Journal
from pi_uploader.service import Service
from pi_uploader.settings import Settings
from pi_uploader.spool import Item, Spool
from pi_uploader.uploader import Heard, Uploader

PATIENCE = 20.0
MARY = result("Mary")
DOWN = Said(503, b"<html>")


@dataclass
class Bench:
    """An uploader at work, and what it told."""

    folder: Path
    standin: StandIn
    uploads: int = 1
    answered: list[tuple[Item, Answer]] = field(default_factory=list)
    away: list[Away | None] = field(default_factory=list)
    #: What is on the disk at the moment of each answer: captures, and lines of the journal.
    at_answer: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.spool = Spool(self.folder / "spool", max_bytes=10**6, free_bytes=0)
        self.journal = Journal(self.folder / "answers.csv", keep_days=7.0)
        heard = Heard(answered=self.hear, away=self.away.append)
        service = Service(Door(Settings(url=self.standin.url)))
        self.uploader = Uploader(self.spool, service, self.journal, heard, uploads=self.uploads)

    def hear(self, item: Item, answer: Answer) -> None:
        answers = self.folder / "answers.csv"
        lines = answers.read_text().count(item.key) if answers.is_file() else 0
        self.at_answer.append(((self.folder / "spool" / item.name).exists(), lines))
        self.answered.append((item, answer))

    def put(self, label: str = "photo") -> Item:
        return self.spool.put(label.encode(), taken_at=1e9, since=time.monotonic(), label=label)

    def numbers(self) -> list[int]:
        return [item.number for item, _ in self.answered]


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    @contextmanager
    def working(*replies: Reply, waiting: int = 0, uploads: int = 1) -> Iterator[Bench]:
        with StandIn(*replies) as standin:
            bench = Bench(tmp_path, standin, uploads)
            with bench.spool:
                for _ in range(waiting):
                    bench.put()
                bench.uploader.start()
                try:
                    yield bench
                finally:
                    bench.uploader.stop(PATIENCE)

    yield working


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of hundredths of a second."""
    monkeypatch.setattr(uploaders, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(uploaders, "MAX_PAUSE", 0.02)


@pytest.mark.usefixtures("quick")
def test_captures_are_answered_in_order_also_after_the_service_was_away(at_work) -> None:
    with at_work(DOWN, DOWN, MARY, DOWN, MARY, waiting=5) as bench:
        until(lambda: len(bench.answered) == 5)
    assert bench.numbers() == [1, 2, 3, 4, 5]
    assert [answer.tries for _, answer in bench.answered] == [3, 2, 1, 1, 1]
    assert [away is None for away in bench.away] == [False, False, True, False, True, True, True, True]
    # A try again is the same request, so that it counts once.
    first = [asked for asked in bench.standin.asked if asked.headers["Idempotency-Key"] == bench.answered[0][0].key]
    assert len(first) == 3 and len({(asked.path, asked.body) for asked in first}) == 1


def test_an_answer_is_written_down_and_its_capture_deleted_before_it_is_told(at_work) -> None:
    with at_work(MARY, problem(415, "not_an_image"), waiting=2) as bench:
        until(lambda: len(bench.answered) == 2)
        assert bench.at_answer == [(False, 1)] * 2
        assert [answer.outcome for _, answer in bench.answered] == [Outcome.KNOWN, Outcome.REFUSED]
        assert len(bench.spool) == 0


def test_several_senders_ask_at_once_and_each_capture_once(at_work) -> None:
    together = threading.Barrier(4)

    def when_all_ask(_: Asked) -> Said:
        together.wait(PATIENCE)
        return MARY

    with at_work(when_all_ask, waiting=4, uploads=4) as bench:
        # The stand-in's own lock is let go before it replies.
        until(lambda: len(bench.answered) == 4)
    assert sorted(bench.numbers()) == [1, 2, 3, 4]


def test_pauses_grow_are_drawn_by_chance_and_have_a_most(at_work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploaders, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(uploaders, "MAX_PAUSE", 0.128)
    asked_at: list[float] = []

    def down(_: Asked) -> Said:
        asked_at.append(time.monotonic())
        return DOWN

    with at_work(down, waiting=1):
        until(lambda: len(asked_at) > 40)
    pauses = [after - before for before, after in pairwise(asked_at)]
    early, late = pauses[:4], pauses[10:]
    assert sum(late) / len(late) > 2 * sum(early) / len(early)
    assert max(late) - min(late) > 0.02
    assert max(late) < 0.128 + 0.5


def test_a_pause_that_the_service_asks_for_is_kept_also_if_somebody_presses(at_work) -> None:
    asked_at: list[float] = []
    started = threading.Event()

    def full(_: Asked) -> Said:
        asked_at.append(time.monotonic())
        started.set()
        return problem(503, "queue_full", Retry_After="1")

    def well(_: Asked) -> Said:
        asked_at.append(time.monotonic())
        return MARY

    with at_work(full, well, waiting=1) as bench:
        # Once while the upload is under way, and then over and over.
        assert started.wait(PATIENCE)
        while not bench.answered:
            bench.uploader.nudge()
            time.sleep(0.02)
            assert time.monotonic() < asked_at[0] + PATIENCE
    assert 1.0 <= asked_at[1] - asked_at[0] < 2.0


def test_a_press_ends_a_pause_of_our_own(at_work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploaders, "FIRST_PAUSE", 100_000.0)
    monkeypatch.setattr(uploaders, "MAX_PAUSE", 100_000.0)

    with at_work(DOWN, DOWN, MARY, waiting=1) as bench:
        deadline = time.monotonic() + PATIENCE
        while not bench.answered:
            bench.uploader.nudge()
            time.sleep(0.02)
            assert time.monotonic() < deadline


def test_to_be_asked_again_at_once_is_no_pause_at_all(at_work) -> None:
    with at_work(problem(429, "rate", Retry_After="0"), waiting=1) as bench:
        time.sleep(1.0)
        assert 1 <= len(bench.standin.asked) < 15


@pytest.mark.parametrize("reply", [DOWN, problem(503, "queue_full", Retry_After="600")])
def test_it_stops_soon_and_what_is_not_answered_stays(at_work, reply: Said, tmp_path: Path) -> None:
    with at_work(reply, waiting=2) as bench:
        until(lambda: bench.away)
        started = time.monotonic()
        bench.uploader.stop(PATIENCE)
        assert time.monotonic() - started < 2
        assert [item.number for item in bench.spool.items()] == [1, 2]
        assert not bench.uploader.gets_on()
    with Spool(tmp_path / "spool", max_bytes=10**6, free_bytes=0) as spool:
        assert [item.number for item in spool.items()] == [1, 2]


def test_one_that_has_nothing_to_do_stops_at_once(at_work) -> None:
    with at_work(MARY, uploads=4, waiting=1) as bench:
        until(lambda: bench.answered)
        started = time.monotonic()
        bench.uploader.stop(PATIENCE)
        assert time.monotonic() - started < 2


def test_an_upload_in_hand_is_waited_for_and_not_longer_than_told(at_work) -> None:
    asked, let_go = threading.Event(), threading.Event()

    def late(_: Asked) -> Said:
        asked.set()
        let_go.wait(PATIENCE)
        return MARY

    with at_work(late, waiting=2) as bench:
        assert asked.wait(PATIENCE)
        started = time.monotonic()
        bench.uploader.stop(0.2)
        assert 0.2 <= time.monotonic() - started < 2 and len(bench.spool) == 2
        let_go.set()
        bench.uploader.stop(PATIENCE)
        assert bench.numbers() == [1] and [item.number for item in bench.spool.items()] == [2]


def test_what_an_earlier_process_took_may_have_been_sent_before(at_work) -> None:
    with at_work(MARY) as bench:
        bench.spool.put(b"photo", taken_at=1e9)
        until(lambda: len(bench.answered) == 1)
    assert bench.answered[0][1].tries == 2

"""What goes wrong with one capture, its disk or its sender, and what that must not keep from the others."""

import threading
import time
from pathlib import Path

import pytest
from hardware import until
from standin import Asked, Said, StandIn, json_said, result
from test_pi_uploader import MARY, PATIENCE, Bench, at_work, quick

from pi_uploader import errands
from pi_uploader import uploader as uploaders
from pi_uploader.answers import Outcome
from pi_uploader.uploader import SILENT

__all__ = ["at_work", "quick"]


def test_a_photo_that_somebody_deleted_is_told_and_does_not_stop_others(at_work, tmp_path: Path) -> None:
    with StandIn(MARY) as standin:
        bench = Bench(tmp_path, standin)
        with bench.spool:
            gone, there = bench.put(), bench.put()
            (tmp_path / "spool" / gone.name).unlink()
            bench.uploader.start()
            until(lambda: len(bench.answered) == 2)
            bench.uploader.stop(PATIENCE)
            assert len(bench.spool) == 0
    assert [(item, answer.code) for item, answer in bench.answered] == [(gone, "deleted"), (there, "")]
    assert len(standin.asked) == 1


def test_a_capture_that_cannot_be_read_stays_and_does_not_stop_others(
    at_work, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").mkdir()
    # A folder of that name: not even root reads it.
    (tmp_path / "spool" / f"0000000001_1_{'0' * 32}_photo.jpg").mkdir()
    with at_work(MARY, waiting=1) as bench:
        until(lambda: bench.answered)
        assert bench.numbers() == [2] and len(bench.spool) == 1
        assert bench.uploader.gets_on()
    assert "is left until the next start" in caplog.text


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [413, 500])
def test_one_image_that_gets_no_answer_lets_others_go_before_it(at_work, status: int) -> None:
    def unless_big(asked: Asked) -> Said:
        return Said(status, b"<html>") if asked.body == b"big" else MARY

    with at_work(unless_big) as bench:
        bench.put("big")
        bench.put(), bench.put()
        until(lambda: len(bench.answered) == 2)
        # It is asked for still.
        asked = len(bench.standin.asked)
        until(lambda: len(bench.standin.asked) > asked)
        assert [item.label for item in bench.spool.items()] == ["big"]
    assert bench.numbers() == [2, 3]


def test_an_answer_that_cannot_be_written_down_is_told_all_the_same(
    at_work, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with at_work(MARY) as bench:
        (tmp_path / "answers.csv").mkdir()
        item = bench.put()
        until(lambda: bench.answered)
        assert len(bench.spool) == 0
    assert f"the answer to {item.name} cannot be written down" in caplog.text


def test_an_answer_whose_capture_cannot_be_deleted_is_told_all_the_same(
    at_work, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def replace_by_folder(_: Asked) -> Said:
        # What unlinking does not remove, not even as root.
        for photo in (tmp_path / "spool").glob("*.jpg"):
            photo.unlink()
            photo.mkdir()
        return MARY

    with at_work(replace_by_folder, waiting=1) as bench:
        until(lambda: bench.answered)
    assert bench.answered[0][1].outcome is Outcome.KNOWN and len(bench.spool) == 0
    assert "is answered, and cannot be deleted" in caplog.text


def test_a_listener_that_fails_does_not_stop_the_next_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with StandIn(MARY) as standin:
        bench = Bench(tmp_path, standin)
        with bench.spool:
            bench.put(), bench.put()
            told = bench.answered
            bench.answered = None  # type: ignore[assignment]
            bench.uploader.start()
            until(lambda: len(bench.at_answer) == 2)
            bench.uploader.stop(PATIENCE)
            assert (told, len(bench.spool)) == ([], 0)
    assert "is left until the next start, if it is in the spool still" in caplog.text


def test_a_sender_gets_on_while_it_waits_and_not_once_it_hangs(at_work) -> None:
    asked, let_go = threading.Event(), threading.Event()

    def late(_: Asked) -> Said:
        asked.set()
        let_go.wait(PATIENCE)
        return result("Mary")

    with at_work(late, waiting=1, uploads=2) as bench:
        assert asked.wait(PATIENCE)
        senders = bench.uploader._senders
        now = time.monotonic()
        assert all(sender.gets_on(now + SILENT - PATIENCE) for sender in senders)
        assert not any(sender.gets_on(now + SILENT + 2 * uploaders.IDLE) for sender in senders)
        assert bench.uploader.gets_on()
        let_go.set()


def never_done(asked: Asked) -> Said:
    """Of one capture there is no result, ever; of all others at once."""
    if asked.body in (b"lost", b"") or asked.method == "GET":
        return json_said(202, {}, Location=f"/v1/recognitions/{'0' * 32}")
    return MARY


def test_a_result_that_never_comes_keeps_others_waiting_just_once(
    at_work, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "LOOK_FOR", 0.5)
    with at_work(never_done) as bench:
        bench.put("lost")
        until(lambda: any(asked.method == "GET" for asked in bench.standin.asked))
        began = time.monotonic()
        bench.put()
        until(lambda: bench.answered)
        assert time.monotonic() - began < 2.0, "after its turn, and not after ten"


def test_a_press_is_not_kept_waiting_by_a_result_that_is_not_there_yet(at_work) -> None:
    with at_work(never_done) as bench:
        bench.put("lost")
        until(lambda: any(asked.method == "GET" for asked in bench.standin.asked))
        bench.put()
        bench.uploader.nudge()
        until(lambda: bench.answered)
        assert bench.numbers() == [2]
        assert [item.label for item in bench.spool.items()] == ["lost"]

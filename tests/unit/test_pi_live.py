"""Live mode: frames on time, and who was seen when."""

import csv
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_uploader.answers import Answer, Outcome
from pi_uploader.live import MAX_FRAMES, Ending, Session, Wish, due, frames_in, jitter, summary
from pi_uploader.settings import BadSettings, Settings
from pi_uploader.sightings import GAP, Sighting, p50_p95, sightings, write_csv
from pi_uploader.spool import Item

PEOPLE = st.lists(st.sampled_from(["paul", "mary", "unknown"]), max_size=3)
FRAMES = st.lists(st.tuples(st.floats(0, 100), PEOPLE), max_size=40)


def test_somebody_on_frames_close_together_is_seen_once() -> None:
    frames = [(10.0, ["paul"]), (10.5, ["paul", "mary"]), (11.0, ["paul"])]
    assert sightings(frames) == [Sighting("paul", 10.0, 11.0, 3), Sighting("mary", 10.5, 10.5, 1)]


def test_who_was_out_of_sight_for_long_comes_anew() -> None:
    frames = [(0.0, ["paul"]), (GAP, ["paul"]), (2 * GAP + 0.1, ["paul"])]
    assert sightings(frames) == [Sighting("paul", 0.0, GAP, 2), Sighting("paul", 2 * GAP + 0.1, 2 * GAP + 0.1, 1)]


def test_two_strangers_on_a_frame_are_one_that_is_unknown() -> None:
    assert sightings([(1.0, ["unknown", "unknown"])]) == [Sighting("unknown", 1.0, 1.0, 1)]


@given(FRAMES, st.randoms())
def test_the_order_in_which_answers_come_makes_no_difference(frames: list[tuple[float, list[str]]], random) -> None:
    shuffled = frames.copy()
    random.shuffle(shuffled)
    assert sightings(shuffled) == sightings(frames)


@given(FRAMES)
def test_each_frame_of_each_person_is_in_just_one_sighting(frames: list[tuple[float, list[str]]]) -> None:
    found = sightings(frames)
    for person in {person for _, people in frames for person in people}:
        own = sorted((s for s in found if s.person == person), key=lambda s: s.first)
        assert sum(s.frames for s in own) == sum(person in people for _, people in frames)
        assert all(after.first - before.last > GAP for before, after in pairwise(own))


def test_the_file_says_when_in_times_of_this_place(tmp_path: Path) -> None:
    write_csv(tmp_path / "seen.csv", [Sighting("Mr, Bean", 1_763_784_000.0, 1_763_784_002.5, 6)])
    header, line = csv.reader((tmp_path / "seen.csv").read_text().splitlines())
    assert header == ["person", "first", "last", "seconds", "frames"]
    assert (line[0], line[3:]) == ("Mr, Bean", ["2.5", "6"])
    here = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(1_763_784_000.0))
    assert line[1].startswith(here)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum", "＝1"])
def test_a_name_is_no_formula_of_a_spreadsheet(name: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "seen.csv", [Sighting(name, 1e9, 1e9)])
    _, line = csv.reader((tmp_path / "seen.csv").read_text().splitlines())
    assert line[0] == f"'{name}"


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=50))
def test_95_percent_do_not_exceed_p95(values: list[float]) -> None:
    found = p50_p95(values)
    assert found is not None
    p50, p95 = found
    assert min(values) <= p50 <= p95 <= max(values)
    assert sum(value <= p95 for value in values) >= 0.95 * len(values)


def test_nothing_has_no_median() -> None:
    assert p50_p95([]) is None


def test_each_frame_comes_at_its_time() -> None:
    started = time.monotonic()
    at = [(number, time.monotonic() - started) for number in due(4, 0.25, Wish())]
    assert [number for number, _ in at] == [1, 2, 3, 4]
    assert all(seconds >= 0.25 * (number - 1) for number, seconds in at)


def test_frames_that_a_slow_camera_has_no_time_for_are_left_out() -> None:
    taken = []
    for number in due(6, 0.25, Wish()):
        taken.append(number)
        if number == 2:
            # The camera takes as long as three frames.
            time.sleep(0.75)
    assert taken[:2] == [1, 2]
    assert 3 not in taken
    assert taken[-1] == 6


def test_nothing_is_taken_once_it_is_to_stop() -> None:
    stop = Wish()
    stop.set()
    assert list(due(3, 10.0, stop)) == []


def test_asked_once_it_stops_and_asked_twice_it_ends_now() -> None:
    ending = Ending()
    ending.ask()
    assert (ending.stop.is_set(), ending.now.is_set()) == (True, False)
    ending.ask()
    assert ending.now.is_set()


def test_an_answer_to_a_frame_of_an_earlier_session_is_not_told_as_of_this_one() -> None:
    session = Session()
    item = Item(1, 5.0, "0" * 32, "frame-1", "jpg")
    session.answered(item, Answer(Outcome.KNOWN, "Paul", ("Paul",)), None)
    assert session.seen == []
    session.answered(item, Answer(Outcome.KNOWN, "Paul", ("Paul",)), 0.25)
    assert session.seen == [(5.0, ("Paul",))]


def test_the_summary_tells_how_many_and_how_fast() -> None:
    session = Session(planned=3, taken=[0.0, 0.5, 1.02], seen=[(0.0, ())] * 3, latencies=[0.1, 0.2, 0.3])
    told = "\n".join(summary(session, 0.5, lost=1))
    assert "3 of 3 frames taken, 3 answered, 1 lost" in told
    assert "p50 200 ms" in told
    assert jitter(session.taken, 0.5) == pytest.approx([0.0, 0.02])


def test_more_frames_than_can_be_told_of_are_refused_before_the_first() -> None:
    assert frames_in(Settings(seconds=300.0, interval=0.5)) == 600
    with pytest.raises(BadSettings, match="fewer seconds"):
        frames_in(Settings(seconds=MAX_FRAMES * 0.5 + 1, interval=0.5))

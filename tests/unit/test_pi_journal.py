"""The answers of the Pi client on its disk: what is written there is neither lost nor sent again."""

import csv
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from pi_uploader import journal as journals
from pi_uploader.answers import Answer, Outcome
from pi_uploader.journal import COLUMNS, DAY, TIDY_EVERY, Journal
from pi_uploader.spool import Item

ROOT = Path(__file__).parent.parent.parent
NOW = 1_763_784_000.0
KNOWN = Answer(Outcome.KNOWN, "Mary (similarity 0.97)", ("Mary",), "f" * 32, round_trip=0.231)
RECORDS = """
import sys
from itertools import count
from pathlib import Path
from pi_uploader.answers import Answer, Outcome
from pi_uploader.journal import Journal
from pi_uploader.spool import Item
journal = Journal(Path(sys.argv[1]), keep_days=7.0)
for number in count():
    journal.record(Item(number, 1e9, f"{number:032x}", "photo", "jpg"), Answer(Outcome.KNOWN, "Mary", ("Mary",)), 1e9)
    print(f"{number:032x}", flush=True)
"""


def item(number: int, taken_at: float = NOW, label: str = "photo") -> Item:
    return Item(number, taken_at, f"{number:032x}", label, "jpg")


def keys(*numbers: int) -> set[str]:
    return {item(number).key for number in numbers}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.csv"


@pytest.fixture
def journal(path: Path) -> Journal:
    return Journal(path, keep_days=7.0)


def lines(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_an_answer_is_a_line_under_a_heading(path: Path, journal: Journal) -> None:
    journal.record(item(1), KNOWN, NOW + 0.25)
    told = ["2025-11-22T04:00:00.000+00:00", "photo", item(1).key, "known", "Mary", KNOWN.words, "231", "f" * 32]
    assert lines(path) == [list(COLUMNS), [*told, "2025-11-22T04:00:00.250+00:00"]]


def test_only_those_that_were_answered_are(path: Path, journal: Journal) -> None:
    journal.record(item(1), KNOWN, NOW)
    journal.record(item(2), KNOWN, NOW)
    assert Journal(path, keep_days=7.0).answered(keys(1, 2, 3)) == keys(1, 2)
    assert Journal(path.with_name("none"), keep_days=7.0).answered(keys(1)) == set()


def test_a_killed_process_leaves_every_answer_that_it_called_written(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RECORDS, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().split()
    assert Journal(path, keep_days=7.0).answered(set(told)) == set(told)


@pytest.mark.parametrize(
    "torn", [b"2025-11-22T04:00", b'2025-11-22T04:00:00+00:00,photo,00,known,"Ma', b"\0\0\0", b"\xc3"]
)
def test_a_torn_last_line_goes_and_those_before_it_stay(path: Path, journal: Journal, torn: bytes) -> None:
    journal.record(item(1), KNOWN, NOW)
    with path.open("ab") as file:
        file.write(torn)
    again = Journal(path, keep_days=7.0)
    again.record(item(2), KNOWN, NOW)
    assert [line[2] for line in lines(path)] == ["key", item(1).key, item(2).key]


@pytest.mark.parametrize(
    "damage", [b'"' + b"x" * 200_000 + b"\n", b'a,"b\n', b"\0" * 600 + b"\n", b"\xff\xfe,,,,,,,\n"]
)
def test_a_damaged_line_hides_none_after_it(path: Path, journal: Journal, damage: bytes) -> None:
    journal.record(item(1), KNOWN, NOW)
    with path.open("ab") as file:
        file.write(damage)
    again = Journal(path, keep_days=7.0)
    again.record(item(2), KNOWN, NOW)
    assert again.answered(keys(1, 2)) == keys(1, 2)
    again.tidy(NOW)
    assert again.answered(keys(1, 2)) == keys(1, 2)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Bean, Mr", "Bean, Mr"),
        ('Mary "Mimi" S.', 'Mary "Mimi" S.'),
        ("a\r\nb\nc\u2028d", "a b c d"),
        ("Zoë 王", "Zoë 王"),
        ("half of \ud83d", "half of ?"),
    ],
)
def test_a_name_may_hold_anything_and_is_one_field_of_one_line(
    path: Path, journal: Journal, name: str, kept: str
) -> None:
    journal.record(item(1), Answer(Outcome.KNOWN, name, (name, "unknown"), name), NOW)
    journal.record(item(2, label="enrol-\n"), KNOWN, NOW)
    assert lines(path)[1][4:8] == [f"{kept}; unknown", kept, "0", kept]
    assert len(path.read_bytes().splitlines()) == 3
    assert journal.answered(keys(1, 2)) == keys(1, 2)


def test_words_without_end_are_cut_to_what_can_be_read_again(path: Path, journal: Journal) -> None:
    journal.record(item(1), Answer(Outcome.REFUSED, "x" * 4_000_000), NOW)
    assert path.stat().st_size < 10_000
    assert journal.answered(keys(1)) == keys(1)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_it_is_its_owners_alone_also_after_old_lines_went(path: Path, journal: Journal) -> None:
    journal.record(item(1), KNOWN, NOW - 8 * DAY)
    assert path.stat().st_mode & 0o777 == 0o600
    journal.tidy(NOW)
    assert (len(lines(path)), path.stat().st_mode & 0o777) == (1, 0o600)


def test_lines_go_after_their_days_and_not_before(path: Path, journal: Journal) -> None:
    journal.record(item(1), KNOWN, NOW - 7 * DAY - 1)
    journal.record(item(2), KNOWN, NOW - 7 * DAY + 1)
    journal.tidy(NOW)
    assert journal.answered(keys(1, 2)) == keys(2)
    journal.tidy(NOW + TIDY_EVERY - 1)
    assert journal.answered(keys(2)) == keys(2)
    journal.tidy(NOW + TIDY_EVERY)
    assert journal.answered(keys(2)) == set()


def test_an_answer_that_came_days_late_is_kept_as_long_as_any(journal: Journal) -> None:
    journal.record(item(1, NOW - 30 * DAY), KNOWN, NOW)
    journal.tidy(NOW + 6 * DAY)
    assert journal.answered(keys(1)) == keys(1)


def test_a_clock_that_is_set_back_keeps_lines_and_goes_on_tidying(path: Path, journal: Journal) -> None:
    journal.tidy(NOW + 100 * DAY)
    journal.record(item(1), KNOWN, NOW)
    journal.tidy(NOW)
    assert journal.answered(keys(1)) == keys(1)
    journal.tidy(NOW + 8 * DAY)
    assert journal.answered(keys(1)) == set()


def test_the_oldest_go_where_there_are_too_many(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "MAX_LINES", 10)
    journal = Journal(path, keep_days=7.0)
    for number in range(50):
        journal.record(item(number), KNOWN, NOW)
        journal.tidy(NOW)
        assert len(lines(path)) <= 21
    assert keys(*range(40, 50)) <= journal.answered(keys(*range(50)))
    # Counted from what is there, not from what this process wrote.
    again = Journal(path, keep_days=7.0)
    again.tidy(NOW)
    assert len(lines(path)) == 11


def test_many_lines_are_tidied_in_little_memory(path: Path, journal: Journal) -> None:
    journal.record(item(1), KNOWN, NOW)
    heading, line = path.read_text().splitlines(keepends=True)
    path.write_text(heading + 5000 * line + 5000 * line.replace("2025-", "2024-"))
    tracemalloc.start()
    journal.tidy(NOW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(lines(path)), peak < 1_000_000) == (5001, True)


def test_whoever_deletes_the_file_forgets_them_all(path: Path, journal: Journal) -> None:
    journal.record(item(1), KNOWN, NOW)
    path.unlink()
    assert journal.answered(keys(1)) == set()
    journal.tidy(NOW)
    journal.record(item(2), KNOWN, NOW)
    assert [line[2] for line in lines(path)] == ["key", item(2).key]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root mounts")
def test_a_full_disk_takes_no_part_of_a_line_and_the_next_once_there_is_room(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", tmp_path], check=True, timeout=60)  # noqa: S607
    try:
        journal = Journal(tmp_path / "answers.csv", keep_days=7.0)
        (tmp_path / "others").write_bytes(b"x" * 4096)
        written = 0
        with pytest.raises(OSError, match="No space left"):
            for written in range(200):
                journal.record(item(written), KNOWN, NOW)
        whole = lines(tmp_path / "answers.csv")
        assert [line[2] for line in whole[1:]] == [item(number).key for number in range(written)]
        assert {len(line) for line in whole} == {len(COLUMNS)}
        (tmp_path / "others").unlink()
        journal.record(item(1000), KNOWN, NOW)
        assert journal.answered(keys(0, 1000)) == keys(0, 1000)
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True, timeout=60)  # noqa: S607

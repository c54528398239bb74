"""Log records as the journal's entries, over a real socket; and stderr, where nothing of systemd's reads it."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facefleet.journal import JournalHandler, program

WORKER = "/opt/facefleet/lib/app_tier/__main__.py"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "journal"))
        listener.settimeout(20)
        yield listener


@pytest.fixture
def log(journal: socket.socket, tmp_path: Path) -> Iterator[logging.Logger]:
    """A logger whose lines go to that journal, and nowhere else."""
    log = logging.Logger("app_tier.worker")  # noqa: LOG001  # of this test alone, with no root above it
    log.addHandler(handler := JournalHandler(tmp_path / "journal"))
    yield log
    handler.close()


def entry(journal: socket.socket) -> dict[str, str]:
    """By systemd's own description: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/"""
    data, found = journal.recv(100_000), {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + size], data[8 + size + 1 :]
        found[name.decode()] = value.decode()
    return found


def test_a_line_about_a_job_is_found_by_the_jobs_id(log: logging.Logger, journal: socket.socket) -> None:
    log.info("job %s: %s", "j1", "done")
    found = entry(journal)
    assert (found["MESSAGE"], found["JOB_ID"], found["PRIORITY"]) == ("job j1: done", "j1", "6")
    assert (found["LOGGER"], found["CODE_FUNC"]) == (
        "app_tier.worker",
        "test_a_line_about_a_job_is_found_by_the_jobs_id",
    )


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, "7"), (logging.INFO, "6"), (logging.WARNING, "4"), (logging.ERROR, "3"), (logging.CRITICAL, "2")],
)
def test_a_level_becomes_the_priority_that_the_journal_knows(
    log: logging.Logger, journal: socket.socket, level: int, priority: str
) -> None:
    log.log(level, "so it is")
    assert entry(journal)["PRIORITY"] == priority


def test_an_error_brings_its_traceback_in_the_same_entry(log: logging.Logger, journal: socket.socket) -> None:
    try:
        raise ValueError("too wide")
    except ValueError:
        log.exception("job %s", "j2")
    found = entry(journal)
    assert found["MESSAGE"].startswith("job j2\nTraceback") and found["MESSAGE"].endswith("ValueError: too wide")
    assert found["JOB_ID"] == "j2"


def test_no_line_can_forge_a_field(log: logging.Logger, journal: socket.socket) -> None:
    log.info("job %s: %s", "j3\nPRIORITY=0", "\nJOB_ID=j4\n")
    found = entry(journal)
    assert (found["PRIORITY"], found["JOB_ID"]) == ("6", "j3\nPRIORITY=0")


def test_a_journal_that_went_away_and_came_back_is_found_again(
    log: logging.Logger, journal: socket.socket, tmp_path: Path
) -> None:
    journal.close()
    (tmp_path / "journal").unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(str(tmp_path / "journal"))
        again.settimeout(20)
        log.info("back")
        assert entry(again)["MESSAGE"] == "back"


def test_a_program_is_called_by_the_name_of_its_tier() -> None:
    assert [program([WORKER]), program(["/usr/bin/facefleet"])] == ["app_tier", "facefleet"]


SAYS = "import logging; from facefleet.entry import log_to; log_to('INFO'); logging.info('here')"


@pytest.mark.parametrize("stream", ["", "1:2"])
def test_stderr_that_is_not_the_journals_gets_the_lines_as_ever(stream: str) -> None:
    """Also below a unit, whose `JOURNAL_STREAM` a child inherits: `facefleet … 2>file` in a timer's script."""
    env = os.environ | {"JOURNAL_STREAM": stream}
    said = subprocess.run([sys.executable, "-c", SAYS], env=env, capture_output=True, text=True, timeout=60)
    assert said.stderr.endswith("INFO root: here\n"), said.stderr

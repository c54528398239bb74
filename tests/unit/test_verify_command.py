"""`facefleet verify` from a terminal, and what it reads: results, outputs, the function's log."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet import csvline
from facefleet.classroom.verify import Given
from facefleet.cli.loading import outputs, results
from facefleet.cli.loading.outputs import Log, of_log, of_output
from facefleet.cli.loading.results import Row

PATIENCE = 30.0
COLUMNS = ("major", "year")
MAPPING = "test_0.mp4:history,senior\ntest_1.mp4:lawyer,freshman\n"
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


def verify(folder: Path, *args: object) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "facefleet.cli", "verify", *map(str, args)]
    return subprocess.run(line, env=dict(os.environ), cwd=folder, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mapping").write_text(MAPPING)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "test_0").write_text("mary,history,senior\n")
    (tmp_path / "out" / "test_1.txt").write_text("mr_bean,lawyer,freshmen\r\n")
    return tmp_path


def row(name: str, answer: str, *values: str, **more: str) -> Row:
    return Row("a.mp4", name, "done", answer, dict(zip(COLUMNS, values, strict=False)) if values else None, **more)


def test_a_folder_of_outputs_is_judged_and_a_difference_in_spelling_is_shown(folder: Path) -> None:
    run = verify(folder, "out", "mapping")
    assert (run.returncode, run.stderr) == (0, "")
    assert "right      2 of 2, 1 of them in another spelling" in run.stdout and "2 results" in run.stdout
    assert [word for word in run.stdout.splitlines() if "mr_bean,lawyer,freshmen" in word and "lawyer,freshman" in word]


def test_as_json_everything_is_told(folder: Path) -> None:
    (folder / "out" / "test_0").write_text("paul,math,junior")
    (folder / "out" / "test_1").write_text("mr_bean,lawyer,freshmen")
    (folder / "out" / "test_9.csv").write_text("[red],lawyer,freshmen")
    run = verify(folder, "out", "mapping", "--json")
    assert run.returncode == 1
    told = json.loads(run.stdout)
    assert told["wrong"] == [
        {"key": "test_0", "verdict": "wrong", "expected": "history,senior", "given": "paul,math,junior"}
    ]
    assert (told["right"], told["expected"], told["ok"]) == (1, 2, False)
    assert (told["extra"], told["duplicates"]) == (["test_9"], {"test_1": 2})
    shown = verify(folder, "out", "mapping")
    assert shown.returncode == 1 and "paul,math,junior" in shown.stdout and "test_1 (2×)" in shown.stdout


@pytest.mark.parametrize("ending", results.ENDINGS)
def test_a_results_file_tells_of_uploads_without_an_answer_too(folder: Path, ending: str) -> None:
    with results.writing(folder / f"r{ending}") as write:
        write(row("test_0.mp4", "mary", "history", "senior"))
        write(Row("a.mp4", "test_1.mp4", "failed", code="timeout"))
    told = json.loads(verify(folder, f"r{ending}", "mapping", "--json").stdout)
    assert told["counts"] == {"uploads": 2, "results": 1} and not told["counts_agree"]
    assert [one["given"] for one in told["missing"]] == ["timeout"]


def test_with_a_log_uploads_events_invocations_and_results_are_to_be_equal(folder: Path) -> None:
    with results.writing(folder / "r.csv") as write:
        write(row("test_0.mp4", "mary", "history", "senior"))
        write(row("test_1.mp4", "mr_bean", "lawyer", "freshmen"))
    lines = [log_line(record=i, invocation=f"call-{i}") for i in range(2)]
    (folder / "log").write_text("\n".join(["START RequestId: 1", *lines, ""]))
    run = verify(folder, "r.csv", "mapping", "--log", "log")
    assert run.returncode == 0 and "2 uploads = 2 events = 2 invocations = 2 results" in run.stdout
    (folder / "log").write_text("\n".join([*lines, log_line(record=1, invocation="again")]))
    again = verify(folder, "r.csv", "mapping", "--log", "log")
    assert again.returncode == 1 and "2 uploads ≠ 2 events ≠ 3 invocations ≠ 2 results" in again.stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("nowhere", "mapping"), "name a results file"),
        (("mapping", "mapping"), "name a results file"),
        (("out", "nowhere"), "nowhere"),
        (("out", "out/test_0"), "line 1"),
        (("unreadable", "mapping"), "unreadable cannot be read"),
        (("out", "mapping", "--log", "mapping", "--log-group", "g"), "name one of them"),
        (("out", "mapping", "--since", "nan"), "no number"),
        (("latin.csv", "mapping"), "latin.csv is not UTF-8"),
        (("deep.jsonl", "mapping"), "deep.jsonl, line 1: no line that `facefleet load --out` wrote"),
        (("kinds.jsonl", "mapping"), "kinds.jsonl, line 1: no line that `facefleet load --out` wrote"),
        (
            ("short.csv", "mapping"),
            "short.csv, line 1: no line that `facefleet load --out` wrote (1 values, 8 expected)",
        ),
        (("s3://", "mapping"), "s3:// is no address of a bucket"),
        (("s3://My Bucket", "mapping"), "s3://My Bucket is no address of a bucket"),
    ],
)
def test_what_cannot_be_judged_is_said_in_a_line(folder: Path, args: tuple[str, ...], says: str) -> None:
    # As a spreadsheet saves it.
    (folder / "latin.csv").write_bytes("Ren\xe9\n".encode("latin-1"))
    (folder / "deep.jsonl").write_text("[" * 100_000)
    (folder / "kinds.jsonl").write_text('{"file": 5, "name": "a", "status": "done", "answer": "b"}\n')
    (folder / "short.csv").write_text("a\n")
    (folder / "unreadable").mkdir()
    # A file that is there, and gives no byte to anybody.
    (folder / "unreadable" / "test_0").symlink_to("/proc/self/mem")
    run = verify(folder, *args)
    assert run.returncode != 0 and says in run.stderr and "Traceback" not in run.stderr


def test_a_bucket_without_credentials_or_region_is_said_in_a_line(folder: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    line = [sys.executable, "-m", "facefleet.cli", "verify", "s3://outputs", "mapping"]
    # No file of boto3's on this machine says where to go either.
    env |= {"HOME": str(folder)}
    run = subprocess.run(line, env=env, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 78 and "AWS_DEFAULT_REGION" in run.stderr and "Traceback" not in run.stderr


# Outputs


@given(st.lists(TEXT, min_size=2, max_size=4))
def test_an_output_is_read_as_it_was_written_formulas_and_all(values: list[str]) -> None:
    assert of_output("test_0", f"{csvline.line(values)}\n".encode()) == Given("test_0", values[0], tuple(values[1:]))


def test_an_output_s_name_may_end_as_text_or_table_does() -> None:
    assert [of_output(name, b"Paul").key for name in ("test_0", "test_0.txt", "test_0.csv", "a.b", "v1.2")] == [
        *("test_0",) * 3,
        "a.b",
        "v1.2",
    ]
    assert of_output("test_0", b"Paul\n") == Given("test_0", "Paul")


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff\xfe", b"a\nb\n", b"x" * 100_000, b'"'])
def test_what_is_no_line_is_no_answer(data: bytes) -> None:
    assert of_output("test_0", data) == Given("test_0", None, code=outputs.NO_OUTPUT)


def test_what_a_row_says_of_attributes_goes_by_the_columns() -> None:
    full = Row("b.mp4", "test_0.mp4", "done", "paul", {"year": 3, "hobby": "x", "major": None})
    assert outputs.of_row(full, COLUMNS) == Given("test_0", "paul", ("", "3"), file="b")
    assert outputs.of_row(row("test_0.mp4", "paul"), COLUMNS) == Given("test_0", "paul", None, file="a")


# The log


def log_line(**fields: object) -> str:
    return json.dumps({"level": "INFO", "event": "s3", "job": "j", "outcome": "done", "seconds": 0.1} | fields)


def test_a_record_counts_once_and_each_call_of_the_function_counts() -> None:
    lines = [
        "INIT_START Runtime Version: python:3.11",
        log_line(record="a", invocation="1"),
        log_line(record="b", invocation="1"),
        f"2026-01-01T00:00:00Z\tid\t{log_line(record='a', invocation='2')}",
        log_line(record="POST frame", invocation="3", event="http"),
        log_line(record="GET result_of", invocation="4", event="http"),
        log_line(record="POST frame", invocation="5", event="http"),
        '{"message": "something else"}' + log_line(record="d", invocation="6"),
        "{broken",
        "[1]",
        '"{}"',
        "",
    ]
    assert of_log(lines, "s3") == Log(events=3, invocations=3)
    assert of_log(lines, "http") == Log(2, 2)


@given(st.lists(st.text() | st.builds(lambda value: json.dumps({"event": "s3", "outcome": value}), st.text())))
def test_no_line_of_a_log_is_too_much(lines: list[str]) -> None:
    assert of_log(lines, "s3") == Log(0, 0)

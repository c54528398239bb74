"""`facefleet load` from a terminal, against a service that says what each test has it say."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from standin import KEY, Asked, Said, StandIn, json_said, problem

from facefleet.cli.loading import results

PATIENCE = 30.0
DONE = json_said(
    200, {"id": "a" * 32, "answer": "paul", "error": None, "faces": [{"attributes": {"major": "physics"}}]}
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "photos" / name).write_bytes(b"\xff\xd8")
    return tmp_path / "photos"


def command(service: StandIn, *args: object) -> tuple[list[str], dict[str, str]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FACEFLEET_")}
    line = [sys.executable, "-m", "facefleet.cli", "load", *map(str, args)]
    return line, env | {"FACEFLEET_URL": service.url, "FACEFLEET_API_KEY": KEY}


def load(service: StandIn, *args: object, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    line, env = command(service, *args)
    return subprocess.run(line, env=env, input=stdin, capture_output=True, text=True, timeout=PATIENCE)


def figures_of(run: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    return dict(json.loads(run.stdout))


def test_each_file_once_is_what_is_sent_and_a_table_with_a_histogram_is_what_is_told(folder: Path) -> None:
    with StandIn(DONE) as service:
        run = load(service, folder)
    assert run.returncode == 0 and "answered    2 of 2" in run.stdout and "█" in run.stdout
    assert "p95" in run.stdout and "2/2" in run.stderr, "the bar is on stderr"
    assert len(service.asked) == 2 and service.asked[0].headers["x-api-key"] == KEY


def test_as_json_the_figures_are_for_scripts_and_the_files_are_written(folder: Path, tmp_path: Path) -> None:
    out, drawn = tmp_path / "r.jsonl", tmp_path / "l.png"
    with StandIn(DONE) as service:
        run = load(service, folder, "-n", 7, "--concurrency", 3, "--out", out, "--picture", drawn, "--json")
    found = figures_of(run)
    assert (found["sent"], found["answered"], found["failed"], found["concurrency"]) == (7, 7, 0, 3)
    assert found["latency"]["p95"] > 0 and not found["stopped"] and run.stderr == ""
    rows = list(results.read(out))
    assert sorted(row.name for row in rows) == ["a-1.jpg", "a-2.jpg", "a-3.jpg", "a.jpg", "b-1.jpg", "b-2.jpg", "b.jpg"]
    assert {(row.status, row.answer, row.job) for row in rows} == {("done", "paul", "a" * 32)}
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_one_that_is_not_answered_fails_the_run_and_its_words_are_told(folder: Path, tmp_path: Path) -> None:
    with StandIn(problem(415, "not_an_image", "send another"), DONE) as service:
        run = load(service, folder, "--concurrency", 1, "--out", tmp_path / "r.csv")
    assert run.returncode == 1 and "1 × not_an_image: send another" in run.stdout
    assert [row.code for row in results.read(tmp_path / "r.csv")] == ["not_an_image", ""]


def slowly(asked: Asked) -> Said:
    time.sleep(0.2)
    return DONE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_tells_and_has_written_what_was_done(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "r.csv"
    with StandIn(slowly) as service:
        line, env = command(service, folder, "-n", 100_000, "--concurrency", 2, "--out", out, "--json")
        process = subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + PATIENCE
        while len(service.asked) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    found = json.loads(stdout)
    assert process.returncode == 1 and found["stopped"] and found["wanted"] == 100_000
    assert found["sent"] == len(service.asked) == len(list(results.read(out))) < 100
    assert "Traceback" not in stderr


def test_clearing_asks_first_and_tells_how_much_went(folder: Path) -> None:
    with StandIn(json_said(200, {"removed": {"messages": 3, "blobs": 12}}), DONE) as service:
        refused = load(service, folder, "--clear", stdin="n\n")
        assert refused.returncode == 1 and "Delete all messages, images and answers" in refused.stdout
        assert service.asked == []
        run = load(service, folder, "--clear", "--yes")
    assert run.returncode == 0 and "removed: 3 messages, 12 blobs" in run.stderr
    assert (service.asked[0].path, json.loads(service.asked[0].body)) == ("/v1/purge", {"confirm": "purge"})


def test_a_mapping_gives_the_names(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mapping").write_text("test_7.jpg:Paul\ntest_9.jpg:Mary\ntest_8.jpg:Paul\n")
    with StandIn(DONE) as service:
        run = load(service, folder, "--mapping", tmp_path / "mapping", "--out", tmp_path / "r.csv")
        assert run.returncode == 0
        names = sorted(row.name for row in results.read(tmp_path / "r.csv"))
        assert names == ["test_7.jpg", "test_8.jpg", "test_9.jpg"]
        more = load(service, folder, "--mapping", tmp_path / "mapping", "-n", 4)
    assert more.returncode != 0 and "names 3 files" in more.stderr and len(service.asked) == 3


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--out", "r.xlsx"], ".csv or .jsonl"),
        (["--picture", "nowhere/l.png"], "no folder"),
        (["--videos"], "no file in it ends in"),
        (["--rate", "nan"], "--rate"),
        (["--url", "10.0.0.4:8000"], "begins with http:// or https://"),
        (["--concurrency", "0"], "--concurrency"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_sent(folder: Path, args: list[str], says: str) -> None:
    with StandIn(DONE) as service:
        run = load(service, folder, *args)
    assert run.returncode != 0 and says in run.stderr and "Traceback" not in run.stderr
    assert service.asked == []


def test_another_address_may_be_named(folder: Path) -> None:
    with StandIn(Said(200, b"a:Paul")) as other, StandIn(DONE) as service:
        run = load(service, folder, "-n", 1, "--entrance", "classic", "--url", f"{other.url}/upload", "--json")
    assert run.returncode == 0 and service.asked == []
    assert [one.path for one in other.asked] == ["/upload"]


def test_distinct_uploads_are_all_other_files_under_the_same_names(folder: Path) -> None:
    def form(asked: Asked) -> Said:
        return json_said(200, {"request_id": json.loads(asked.body)["request_id"], "result": "Paul"})

    with StandIn(form) as service:
        for options in ((), ("--distinct",)):
            assert load(service, folder, "-n", 6, "--entrance", "function", *options).returncode == 0
    sent = [json.loads(asked.body) for asked in service.asked]
    assert [len({body["content"] for body in half}) for half in (sent[:6], sent[6:])] == [1, 6]
    assert {body["filename"] for body in sent[:6]} == {body["filename"] for body in sent[6:]}

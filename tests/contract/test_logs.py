"""Log lines in CloudWatch, besides stderr: sent by real processes, whatever becomes of CloudWatch."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest

from bench import emulators
from facefleet.backends.aws import logs

ENDPOINT = "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"
#: A tier, but for what it does.
PREAMBLE = """
import logging, os, sys, time
sys.argv = ["/opt/facefleet/lib/app_tier/__main__.py"]
from facefleet.backends import log_besides
from facefleet.entry import entry_point
from facefleet.errors import BadSettings, Unavailable
log = logging.getLogger("app_tier.worker")

@entry_point
def main(settings):
    log_besides(settings)
"""
PATIENCE = 30.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def client(store: emulators.Emulator) -> Any:
    keys = {name.lower(): key for name, key in emulators.KEYS.items()}
    return boto3.client("logs", endpoint_url=store.url, region_name=emulators.REGION, **keys)


@pytest.fixture
def group(client: Any) -> Iterator[str]:
    name = f"facefleet-{uuid4().hex[:8]}"
    client.create_log_group(logGroupName=name)
    yield name
    client.delete_log_group(logGroupName=name)


@pytest.fixture
def run(store: emulators.Emulator, group: str) -> Run:
    """`run("log.info('x')")`: a process that does so, and has ended."""

    def run_it(body: str, *, endpoint: str = store.url, **env: str) -> "subprocess.CompletedProcess[str]":
        lines = [f"    {line}" for line in body.splitlines()]
        settings = {"FACEFLEET_BACKEND": "aws", "FACEFLEET_LOG_GROUP": group, "AWS_EC2_METADATA_DISABLED": "true"}
        return subprocess.run(
            [sys.executable, "-c", "\n".join([PREAMBLE, *lines, "", "main()"])],
            env=os.environ | dict(store.env) | {ENDPOINT: endpoint} | settings | env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    return run_it


def told(client: Any, group: str) -> dict[str, list[str]]:
    """Lines by stream."""
    streams = [one["logStreamName"] for one in client.describe_log_streams(logGroupName=group)["logStreams"]]
    return {name: lines(client, group, name) for name in streams}


def lines(client: Any, group: str, stream: str) -> list[str]:
    events = client.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    return [one["message"] for one in events]


def test_lines_begin_with_their_level_and_say_who_told_them(run: Run, client: Any, group: str) -> None:
    done = run("log.info('job %s: %s', 'j-1', 'paul')\nlog.error('no such thing')\nlog.debug('too small to tell')")
    assert "job j-1: paul" in done.stderr, "as before"
    ((stream, found),) = told(client, group).items()
    machine, program = stream.split("/")
    assert machine.startswith(socket.gethostname()) and program == "app_tier"
    assert [line.split("[")[0] for line in found] == ["INFO app_tier.worker", "ERROR app_tier.worker"]
    assert found[0].endswith("]: job j-1: paul")


def test_a_traceback_is_one_line_and_a_long_one_is_cut(run: Run, client: Any, group: str) -> None:
    run("try: 1 / 0\nexcept ZeroDivisionError: log.exception('it broke')\nlog.info('x' * 1_000_000)")
    ((broke, long),) = told(client, group).values()
    assert broke.startswith("ERROR") and broke.endswith("ZeroDivisionError: division by zero")
    assert len(long) == logs.MOST_OF_A_LINE


def test_what_ends_a_process_is_told_too(run: Run, client: Any, group: str) -> None:
    done = run("raise BadSettings('set it right')")
    assert done.returncode == 78 and done.stderr.startswith("facefleet: set it right\n")
    ((line,),) = told(client, group).values()
    assert line.startswith("CRITICAL") and line.endswith(": set it right")


def test_what_nobody_foresaw_is_told_with_its_traceback_too(run: Run, client: Any, group: str) -> None:
    done = run("raise KeyError('a fault of ours')")
    assert done.returncode == 1 and done.stderr.count("Traceback") == 1
    ((line,),) = told(client, group).values()
    assert line.startswith("CRITICAL") and line.endswith("KeyError: 'a fault of ours'") and "Traceback" in line


def test_a_fault_of_the_sending_costs_the_lines_in_hand_and_no_more(run: Run, client: Any, group: str) -> None:
    body = "handler = logging.getLogger().handlers[-1]\nmachine, handler._machine = handler._machine, lambda: 1 / 0\n"
    done = run(f"{body}log.info('lost')\nhandler.flush()\nhandler._machine = machine\nlog.info('found')")
    assert done.returncode == 0 and "do not reach CloudWatch" in done.stderr
    ((line,),) = told(client, group).values()
    assert line.endswith("found")


def test_a_process_and_its_child_both_tell_by_connections_of_their_own(run: Run, client: Any, group: str) -> None:
    """Of one that two processes share, each would read the other's answers."""
    run(
        "log.info('before')\nhandler = logging.getLogger().handlers[-1]\nhandler.flush()\nsent_by = handler._client\n"
        "child = os.fork()\nif child: os.waitpid(child, 0)\n"
        "log.info('%s', 'same' if sent_by and handler._client is sent_by else 'another')"
    )
    found = [line.rpartition(" ")[2] for stream in told(client, group).values() for line in stream]
    assert sorted(found) == ["another", "before", "same"]


def test_nothing_goes_anywhere_where_no_group_is_named_or_another_backend(run: Run, client: Any, group: str) -> None:
    run("log.info('x')", FACEFLEET_LOG_GROUP="")
    run("log.info('x')", FACEFLEET_BACKEND="embedded")
    assert told(client, group) == {}


@pytest.fixture
def silence() -> Iterator[str]:
    """The address of somebody who takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_process_goes_on_and_ends_where_cloudwatch_never_answers(run: Run, silence: str) -> None:
    begun = time.monotonic()
    done = run("at = time.monotonic()\nlog.info('x')\nlog.info('took %.3f', time.monotonic() - at)", endpoint=silence)
    assert done.returncode == 0 and float(done.stderr.split("took ")[1].split()[0]) < 0.5
    # Beside what Python takes to start here.
    assert time.monotonic() - begun < 2 * logs.PATIENCE_AT_END + 10.0


def test_a_process_tells_once_that_its_lines_are_lost_and_works_on(run: Run, group: str) -> None:
    body = "for n in range(3):\n    log.info('line %d', n)\n    [h.flush() for h in logging.getLogger().handlers]"
    done = run(body, endpoint="http://127.0.0.1:1")
    assert done.returncode == 0 and done.stderr.count("do not reach CloudWatch") == 1
    assert "line 2" in done.stderr and "Traceback" not in done.stderr


def test_a_group_that_is_not_there_costs_lines_and_nothing_else(run: Run) -> None:
    done = run("log.info('x')", FACEFLEET_LOG_GROUP="not-there")
    assert done.returncode == 0 and "do not reach CloudWatch" in done.stderr


def test_lines_that_wait_are_bounded_and_counted(silence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**emulators.KEYS, "AWS_DEFAULT_REGION": emulators.REGION, ENDPOINT: silence}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(logs, "MOST_WAITING", 50)
    handler = logs.GroupHandler("group", lambda: "machine", "program")
    for _ in range(logs.MOST_AT_ONCE + 500):
        handler.emit(logging.makeLogRecord({"msg": "x", "levelno": logging.INFO, "levelname": "INFO"}))
    (waiting,) = handler.queues.values()
    assert waiting.qsize() <= 50
    handler.shutting_down = True


def test_a_line_that_cannot_be_formed_ends_nothing(run: Run, client: Any, group: str) -> None:
    done = run("log.info('%d and %d', 1)\nlog.info('goes on')")
    assert done.returncode == 0
    ((line,),) = told(client, group).values()
    assert line.endswith("goes on")

"""The relay killed with -9 again and again: is a result lost, doubled or wrong, a call unaccounted for?

    python -m bench.relay [--messages 200] [--kill-every 3] [--seconds 1] [--seed 1] [--json]

S3's events lie in the input queue of an emulator; the relay, a process as systemd would start it, has them done by a
function behind Lambda's door, which takes its time, fails now and then, answers too late, or not at all, and tells each
result once by the output queue. At the end all is calm.

`missing`, `wrong`, `doubled`: files that are not there, say something else, or are more than one for an event; `left`:
messages in both queues and their dead letters; `unnoted`: calls that the function saw and the spool does not know;
`unseen`: calls that the spool takes for answered and the function has not seen; `calls`: all that the function saw.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bench import emulators
from bench.lambda_api import LambdaApi
from bench.local import as_ours, awaited
from bench.relay_function import Told, event_of, line_of
from bench.told import tell
from facefleet.backends.aws.clients import connect_clients
from facefleet.errors import ServiceError
from openstack_relay.spool import FILE
from openstack_relay.status import spooled

INPUT, OUTPUT = "arrivals", "results"
QUEUES = (INPUT, f"{INPUT}-dead", OUTPUT, f"{OUTPUT}-dead")
#: What the relay calls an answered call.
ANSWERED = ("done", "failed")
DEPTHS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
#: Seconds until all is home, on a machine that is busy; and between two looks whether a relay is up.
PATIENCE, LOOK = 600.0, 0.05


@dataclass(frozen=True)
class Measured:
    messages: int
    seconds: float
    kills: int
    files: int
    missing: int
    wrong: int
    doubled: int
    left: int
    calls: int
    unnoted: int
    unseen: int
    interrupted: int


@contextmanager
def place() -> Iterator[Any]:
    """boto3's client of SQS, with the relay's queues; this process's environment is that of the emulator meanwhile."""
    with emulators.store() as store, as_ours({**os.environ, **store.env, "NO_PROXY": "127.0.0.1"}):
        sqs = connect_clients().sqs
        for name in QUEUES:
            sqs.create_queue(QueueName=name)
        yield sqs


def env_of(folder: Path, function: str, **settings: str) -> Mapping[str, str]:
    """Of the relay's process; `settings` without their prefix."""
    ours = {
        "BACKEND": "aws",
        "DATA": str(folder / "data"),
        "RELAY_INPUT": INPUT,
        "RELAY_OUTPUT": OUTPUT,
        "RELAY_FOLDER": str(folder / "results"),
    }
    told = {f"FACEFLEET_{name}": value for name, value in (ours | settings).items()}
    return {**os.environ, **told, "AWS_ENDPOINT_URL_LAMBDA": function}


def start(folder: Path, env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    with (folder / "relay.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "openstack_relay"], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


class Killed:
    """A relay that is killed so often, and started at once, until it is let alone."""

    def __init__(self, folder: Path, env: Mapping[str, str], *, every: float, most: int | None = None) -> None:
        """`every`: seconds that it is up; `most`: kills, after which it is let alone."""
        self._folder, self._env, self._every, self._most = folder, env, every, most
        self._calm = threading.Event()
        self.kills = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        self._process = start(self._folder, self._env)
        thread = threading.Thread(target=self._storm, name="storm")
        thread.start()
        try:
            yield
        finally:
            self._calm.set()
            thread.join()
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            finally:
                self._process.kill()

    def _storm(self) -> None:
        while self.kills != self._most and self._is_up_before_calm() and not self._calm.wait(self._every):
            self._process.kill()
            self._process.wait()
            self.kills += 1
            self._process = start(self._folder, self._env)

    def _is_up_before_calm(self) -> bool:
        """A machine that is busy takes longer to start it: one that was never at work was not killed in it."""
        while not self._is_up():
            if self._calm.wait(LOOK):
                return False
        return True

    def _is_up(self) -> bool:
        try:
            told = spooled(self._folder / "data" / FILE).told
        except ServiceError:
            return False
        return bool(told.get("process", {}).get("pid") == self._process.pid)


def measure(
    folder: Path,
    messages: int,
    *,
    kill_every: float,
    seconds: float,
    seed: int,
    lease: float = 5.0,
    most_kills: int | None = None,
    patience: float = PATIENCE,
) -> Measured:
    timeout = 4 * seconds + 1
    settings = {"VISIBILITY_TIMEOUT": str(lease), "RELAY_TIMEOUT": str(timeout), "RELAY_TRIES": "20"}
    stems = [f"test_{n}" for n in range(messages)]
    with place() as sqs:
        told = Told(sqs, OUTPUT, seconds=seconds, timeout=timeout, seed=seed)
        url = sqs.get_queue_url(QueueName=INPUT)["QueueUrl"]
        for stem in stems:
            sqs.send_message(QueueUrl=url, MessageBody=event_of(stem))
        with LambdaApi(told.work, knock=told.knock).serving() as api:
            began = time.perf_counter()
            killed = Killed(folder, env_of(folder, api.url, **settings), every=kill_every, most=most_kills)
            with killed.running():
                awaited(lambda: left_in(sqs) == 0 and _is_home(folder, stems), "all at home", seconds=patience)
                took = time.perf_counter() - began
            return _judged(folder, sqs, stems, api, took, killed.kills)


def left_in(sqs: Any) -> int:
    """Messages in all queues, on lease or not."""
    left = 0
    for name in QUEUES:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=DEPTHS)["Attributes"]
        left += sum(map(int, found.values()))
    return left


def _is_home(folder: Path, stems: list[str]) -> bool:
    return all((folder / "results" / f"{stem}.txt").exists() for stem in stems)


def _judged(folder: Path, sqs: Any, stems: list[str], api: LambdaApi, took: float, kills: int) -> Measured:
    # What is hidden was in the making when it was killed, and is nobody's result.
    files = {path.name: path.read_text() for path in (folder / "results").glob("[!.]*")}
    expected = {f"{stem}.txt": f"{line_of(stem)}\n" for stem in stems}
    noted = calls_of(folder)
    seen = {one.call for one in api.seen}
    return Measured(
        messages=len(stems),
        seconds=round(took, 1),
        kills=kills,
        files=len(files),
        missing=len(expected.keys() - files.keys()),
        wrong=sum(files[name] != expected[name] for name in files.keys() & expected.keys()),
        doubled=len(files.keys() - expected.keys()),
        left=left_in(sqs),
        calls=len(api.seen),
        unnoted=len(seen - noted.keys()) + len(api.seen) - len(seen),
        unseen=sum(outcome in ANSWERED and call not in seen for call, outcome in noted.items()),
        interrupted=sum(outcome == "interrupted" for outcome in noted.values()),
    )


def calls_of(folder: Path, data: str = "data") -> dict[str, str]:
    """By id, what became of each call that the spool knows."""
    with closing(sqlite3.connect(folder / data / FILE)) as db:
        return dict(db.execute("SELECT id, coalesce(outcome, 'under way') FROM call"))


@click.command()
@click.option("--messages", default=200, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--kill-every", default=3.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds that it is up."
)
@click.option("--seconds", default=1.0, show_default=True, type=click.FloatRange(min=0), help="Of a call, about.")
@click.option("--seed", default=1, show_default=True, help="Of chance.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(messages: int, kill_every: float, seconds: float, seed: int, *, as_json: bool) -> None:
    """Kill a relay again and again, and count what is lost."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), messages, kill_every=kill_every, seconds=seconds, seed=seed)
    tell("A relay in a storm", vars(found), as_json=as_json)


if __name__ == "__main__":
    main()

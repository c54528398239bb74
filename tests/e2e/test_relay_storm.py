"""A relay that is killed again and again, and one that meets whatever else may happen: each result at home, once."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from services import until

from bench import relay as bench
from bench.lambda_api import LambdaApi, Refusal
from facefleet.entry import EXIT_FAILED
from facefleet.errors import ServiceError
from openstack_relay.spool import FILE
from openstack_relay.status import Spooled, spooled

pytestmark = pytest.mark.slow

#: Fewer and shorter calls than those of `python -m bench.relay`, killed more often, and let alone after so many.
MESSAGES, KILLS, EVERY = 100, 5, 1.0
#: Seconds until all is at home: most of it pauses, 55 where five wait for each core.
PATIENCE = 240.0


@pytest.mark.timeout(PATIENCE + 60)
def test_a_relay_killed_again_and_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    found = bench.measure(
        tmp_path, MESSAGES, kill_every=EVERY, seconds=0.3, seed=1, lease=2.0, most_kills=KILLS, patience=PATIENCE
    )
    assert (found.files, found.missing, found.wrong, found.doubled, found.left) == (MESSAGES, 0, 0, 0, 0)
    assert found.kills >= 2
    # Nothing was called that is not written down, and nothing is written down that was not called.
    assert (found.unnoted, found.unseen) == (0, 0)
    assert found.calls >= MESSAGES


@dataclass
class Site:
    """Queues, a function that tells a line for each object, and relays as they are started."""

    folder: Path
    sqs: Any
    api: LambdaApi
    env: dict[str, str]
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def start(self, **settings: str) -> "subprocess.Popen[bytes]":
        told = {f"FACEFLEET_{name}": value for name, value in settings.items()}
        self.processes.append(bench.start(self.folder, self.env | told))
        return self.processes[-1]

    def send(self, *stems: str) -> None:
        url = self.sqs.get_queue_url(QueueName=bench.INPUT)["QueueUrl"]
        for stem in stems:
            self.sqs.send_message(QueueUrl=url, MessageBody=bench.event_of(stem))

    def await_home(self, *stems: str) -> None:
        until(lambda: self.files() == {f"{stem}.txt": f"{bench.line_of(stem)}\n" for stem in stems}, say=str(stems))
        until(lambda: bench.left_in(self.sqs) == 0, say="queues empty")

    def files(self, folder: str = "results") -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.folder / folder).glob("*.txt")}

    def seen(self) -> Spooled | None:
        """What its spool says, once there is one."""
        try:
            return spooled(self.folder / "data" / FILE)
        except ServiceError:
            return None

    def events(self) -> dict[str, int]:
        seen = self.seen()
        return dict(seen.events) if seen else {}

    def why(self, queue: str) -> str:
        """Why nothing is taken from there, as its status says."""
        seen = self.seen()
        return str(seen.told.get("pauses", {}).get(queue, "")) if seen else ""


class Function:
    """Tells a line for each object; holds its answers while `go_on` is not set."""

    def __init__(self, sqs: Any) -> None:
        self.told = bench.Told(sqs, bench.OUTPUT, seconds=0.0, timeout=0.0, seed=1)
        self.refusal: Refusal | None = None
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def knock(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def work(self, event: Any) -> None:
        self.begun.set()
        assert self.go_on.wait(60)
        for record in event["Records"]:
            self.told.tell(record["s3"]["object"]["key"])


@pytest.fixture(scope="module")
def sqs() -> Iterator[Any]:
    with bench.place() as sqs:
        yield sqs


@pytest.fixture
def function(sqs: Any) -> Function:
    return Function(sqs)


@pytest.fixture
def site(tmp_path: Path, sqs: Any, function: Function) -> Iterator[Site]:
    with LambdaApi(function.work, knock=function.knock).serving() as api:
        settings = {"VISIBILITY_TIMEOUT": "2", "RELAY_TIMEOUT": "60"}
        site = Site(tmp_path, sqs, api, dict(bench.env_of(tmp_path, api.url, **settings)))
        yield site
        for process in site.processes:
            process.kill()
            process.wait()
        for name in bench.QUEUES:
            sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])


def test_asked_to_end_a_relay_finishes_what_is_in_hand(site: Site, function: Function) -> None:
    function.go_on.clear()
    relay = site.start()
    site.send("test_0")
    assert function.begun.wait(60)
    relay.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        relay.wait(1)
    function.go_on.set()
    assert relay.wait(60) == 0
    seen = spooled(site.folder / "data" / FILE)
    assert site.events() == {"done": 1} and not seen.runs(seen.beat)
    # What the function told meanwhile is brought home by the next one.
    site.start()
    site.await_home("test_0")
    assert len(site.api.seen) == 1


def test_of_two_relays_on_one_spool_the_second_ends_and_says_why(site: Site) -> None:
    site.start()
    until(lambda: (site.folder / "data" / FILE).exists())
    second = subprocess.run(
        [sys.executable, "-m", "openstack_relay"], env=site.env, capture_output=True, text=True, timeout=60
    )
    assert second.returncode == EXIT_FAILED and "a relay is running already" in second.stderr


def test_two_relays_on_the_same_queues_bring_each_result_home_once(site: Site, function: Function) -> None:
    site.start()
    site.start(DATA=str(site.folder / "other"), RELAY_FOLDER=str(site.folder / "others"))
    stems = [f"test_{n}" for n in range(40)]
    site.send(*stems)
    until(lambda: len(site.files()) + len(site.files("others")) >= 40, say="all at home")
    until(lambda: bench.left_in(site.sqs) == 0, say="queues empty")
    both = [*site.files(), *site.files("others")]
    assert sorted(both) == sorted(f"{stem}.txt" for stem in stems)


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_while_the_function_is_missing_or_denied_everything_waits(site: Site, function: Function, code: str) -> None:
    function.refusal = Refusal(404 if code.startswith("Resource") else 403, code)
    site.start(RELAY_TRIES="1")
    site.send(*(f"test_{n}" for n in range(12)))
    until(lambda: code in site.why("input"), say="it says why")
    # Whatever was in hand when it began; from then on it only asks.
    tried = len(bench.calls_of(site.folder))
    until(lambda: site.api.knocks >= tried + 3, say="it asks again and again")
    assert site.api.seen == [] and len(bench.calls_of(site.folder)) == tried <= 10
    function.refusal = None
    site.await_home(*(f"test_{n}" for n in range(12)))
    assert len(site.api.seen) == 12


@contextmanager
def nowhere_to_write(folder: Path) -> Iterator[None]:
    """Whoever asks for the folder finds a file."""
    folder.mkdir(exist_ok=True)
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("a file")
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


def test_while_results_cannot_be_written_none_is_lost_and_it_goes_on_by_itself(site: Site) -> None:
    with nowhere_to_write(site.folder / "results"):
        site.start()
        site.send("test_0", "test_1")
        until(lambda: "results cannot be written" in site.why("output"), say="it says why")
        # The other half goes on.
        until(lambda: site.events() == {"done": 2})
    site.await_home("test_0", "test_1")


def test_what_is_no_event_and_what_is_no_result_lie_with_the_dead_letters(site: Site) -> None:
    site.start()
    for queue in (bench.INPUT, bench.OUTPUT):
        site.sqs.send_message(QueueUrl=site.sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody="poison")
    bodies = []
    for queue in (bench.INPUT, bench.OUTPUT):
        url = site.sqs.get_queue_url(QueueName=f"{queue}-dead")["QueueUrl"]
        (letter,) = until(
            lambda url=url: site.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), say=queue
        )
        site.sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
        bodies.append(letter["Body"])
    assert all('"requestPayload": "poison"' in body and "bad_message" in body for body in bodies)
    site.send("test_0")
    site.await_home("test_0")


def test_an_event_that_is_handed_over_is_done_when_lambda_has_it(site: Site) -> None:
    site.start(RELAY_INVOCATION="async")
    site.send("test_0")
    site.await_home("test_0")
    assert site.events() == {"handed over": 1}

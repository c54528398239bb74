"""The client while all that can fails: itself, the service and the network. Each capture is answered, and just once."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from faults import FAULTS, Fault, Proxy, failing_network
from meanwhile import repeatedly
from PIL import Image
from services import Service, kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CAPTURES, KILLS = 500, 20
#: The share of requests that nothing happens to.
CALM = 0.6
#: Seconds from press to press, and from one end of the service to the next.
PRESS_EVERY, RESTART_EVERY = 0.03, 6.0
INTERVAL = 0.05
LIVE = ("live", "--interval", str(INTERVAL), "--seconds")
#: How many captures a session takes before it is killed, at random; none: it is killed while it starts.
EACH = (0, 8, 16, 24, 36)
#: Seconds from the last of these to the end, at most.
GRACE = 0.5
#: How long the longest side of a photo is: captures are many.
SIDE = 480
#: As a file of the spool is called, and a line of an answer.
CAPTURE = re.compile(r"\d+_\d+_([0-9a-f]{32})_.*")
#: Of a capture that the process itself took: its name is no other's.
OWN = re.compile(r"^(.*): .*\(\d+ ms, round trip \d+ ms\)$", re.MULTILINE)
EARLIER = "(taken earlier, round trip"


@dataclass
class Pi:
    """The real program, one process after the other over the same folder."""

    url: str
    camera: Path
    data: Path
    chance: random.Random
    taken: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    def session(self, mode: tuple[str, ...]) -> None:
        """Takes some captures, then is killed, whatever it does just then."""
        with self.running(mode) as process:
            self.press_until(process, len(self.taken) + self.chance.choice(EACH))
            time.sleep(self.chance.random() * GRACE)
            process.kill()
        self.taken |= self.keys()

    def last_session(self, mode: tuple[str, ...]) -> int:
        """Returns how it ends by itself, once all is answered."""
        with self.running(mode) as process:
            code = process.wait(150)
        self.taken |= self.keys()
        return code

    @contextmanager
    def running(self, mode: tuple[str, ...]) -> Iterator["subprocess.Popen[bytes]"]:
        common = ["--url", self.url, "--camera", f"folder:{self.camera}", "--data", str(self.data)]
        command = [sys.executable, "-m", "pi_uploader", *common, *mode]
        output = self.data.with_name(f"said-{len(self.said)}.log")
        with output.open("wb") as said:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said, bufsize=0)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()
            self.said.append(output.read_text())

    def press_until(self, process: "subprocess.Popen[bytes]", captures: int) -> None:
        """Each Enter is a press of the button; a live session takes no notice."""
        assert process.stdin is not None
        deadline = time.monotonic() + 60.0
        while len(self.taken | self.keys()) < captures:
            assert process.poll() is None, "the client has ended by itself"
            assert time.monotonic() < deadline, "no captures are taken"
            process.stdin.write(b"\n")
            time.sleep(PRESS_EVERY)

    def keys(self) -> set[str]:
        """Of what is called taken: it waits in the spool, or has its answer."""
        return self.waiting() | {line["key"] for line in self.answers()}

    def waiting(self) -> set[str]:
        # Before the answers: what goes from here meanwhile is found there.
        spool = self.data / "spool"
        names = [path.name for path in spool.iterdir()] if spool.exists() else []
        return {found[1] for name in names if (found := CAPTURE.fullmatch(name))}

    def answers(self) -> list[dict[str, str]]:
        path = self.data / "answers.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return list(csv.DictReader(file))


@contextmanager
def restarted(service: Service, every: float) -> Iterator[list[float]]:
    """Meanwhile web tier, controller and workers are killed and started again, so often; yields when."""
    times = list[float]()
    tiers = {"web_tier": service.processes[0], "controller": service.processes[1]}

    def restart() -> None:
        times.append(time.monotonic())
        for process in tiers.values():
            kill(process)
        for worker in service.workers():
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        for name in tiers:
            tiers[name] = service.start(name)

    with repeatedly(restart, every=every):
        yield times


@pytest.fixture
def camera(tmp_path: Path, photos: Path, stranger: Path) -> Path:
    """A folder with small photos of two who are enrolled, of somebody who is not, and of nobody."""
    folder = tmp_path / "camera"
    folder.mkdir()
    for photo in (photos / "obama2.jpg", photos / "biden.jpg", stranger):
        with Image.open(photo) as image:
            image.thumbnail((SIDE, SIDE))
            image.save(folder / photo.name)
    Image.new("RGB", (64, 64)).save(folder / "nobody.jpg")
    return folder


def results_of(service: Service) -> dict[str, dict[str, object]]:
    """Those of recognitions that the client asked for, by id."""
    stored = (json.loads(path.read_text()) for path in (service.folder / "data/blobs/results").glob("*.json"))
    return {one["id"]: one for one in stored if str(one["filename"]).startswith("pi-")}


def people_on(service: Service, camera: Path) -> dict[str, str]:
    """What the service says of each photo when nothing fails, as answers have it; by the photo's digest."""
    found = {}
    for photo in camera.iterdir():
        image = photo.read_bytes()
        faces = service.post("/v1/recognitions", files={"file": (photo.name, image)}).json()["faces"]
        found[sha256(image).hexdigest()] = "; ".join(face["name"] or "unknown" for face in faces)
    return found


def test_500_captures_are_each_answered_once_whoever_is_killed_and_whatever_the_network_does(
    start_service: Callable[..., Service], photos: Path, camera: Path, tmp_path: Path
) -> None:
    # Nothing is answered from the cache: each capture waits for a worker, and some of them for the next one.
    service = start_service(MIN_INSTANCES="1", CACHE_BYTES="0", VISIBILITY_TIMEOUT="3")
    for person in ("obama", "biden"):
        assert service.enrol(person, photos / f"{person}.jpg").status_code == 201
    right = people_on(service, camera)
    assert sorted(right.values()) == ["", "Biden", "Obama", "unknown"]
    with failing_network(service.port, seed=5, calm=CALM) as proxy:
        pi = Pi(proxy.url, camera, tmp_path / "pi", random.Random(11))
        with restarted(service, RESTART_EVERY) as restarts:
            for number in range(KILLS):
                pi.session((*LIVE, "600") if number % 2 else ())
            missing = CAPTURES - len(pi.taken)
            assert pi.last_session((*LIVE, str(max(1.0, missing * INTERVAL)))) == 0
    all_is_answered_once(pi, service, right)
    every_thing_went_wrong(proxy, restarts)


def all_is_answered_once(pi: Pi, service: Service, right: dict[str, str]) -> None:
    answers, results = pi.answers(), results_of(service)
    keys = [line["key"] for line in answers]
    assert len(pi.taken) >= CAPTURES
    assert sorted(keys) == sorted(pi.taken), "each capture has one answer, and nothing has one that was not taken"
    assert sorted(line["id"] for line in answers) == sorted(results), "one result for each key, and no more"
    for line in answers:
        name = str(results[line["id"]]["filename"])
        assert line["key"][:8] in name
        image = service.backend.blobs.get(f"in/{name}")
        assert line["people"] == right[sha256(image).hexdigest()], name
    assert not any((pi.data / "spool").glob("*.*g")), "nothing waits any more"
    nothing_is_told_twice(pi.said, len(keys))


def nothing_is_told_twice(said: list[str], captures: int) -> None:
    own = [OWN.findall(words) for words in said]
    assert captures / 4 < sum(map(len, own)) + sum(words.count(EARLIER) for words in said) <= captures
    assert all(len(set(names)) == len(names) for names in own)


def every_thing_went_wrong(proxy: Proxy, restarts: list[float]) -> None:
    assert all(proxy.happened[fault] > 3 for fault in FAULTS), proxy.happened
    assert proxy.happened[Fault.NONE] >= CAPTURES / 2
    assert len(restarts) > 2
    # Connections were kept alive: those that were not ended by us or by who was killed.
    assert proxy.connections < proxy.happened.total() / 2
    assert (proxy.hasty, proxy.strayed) == (0, 0)

"""A facefleet of a test's own: real processes over real sockets, on a data folder and a port of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from bench.local import free_port
from facefleet.backends import connect
from facefleet.ports import Backend
from facefleet.settings import Settings

#: How long anything may take that is waited for. Reached only where something is broken.
PATIENCE = 60.0
#: Where the converted model is kept, for all tests.
MODELS = Path(__file__).parent.parent.parent / ".samples" / "models"


def until(what: Callable[[], Any], *, seconds: float = PATIENCE, say: str = "") -> Any:
    """The first truth that `what` returns; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {say or what}"
        time.sleep(0.05)
    return value


def kill(process: "subprocess.Popen[bytes]") -> None:
    """`kill -9` of a tier, all its processes at once; workers, which live in sessions of their own, stay."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@dataclass
class Service:
    """A facefleet of one's own: tiers are started and killed one by one."""

    folder: Path
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        ours = {
            "FACEFLEET_DATA": str(self.folder / "data"),
            "FACEFLEET_PORT": str(self.port),
            # One for all tests: each would make its own otherwise.
            "FACEFLEET_MODELS": str(MODELS),
        }
        return dict(os.environ) | ours | self.settings

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def backend(self) -> Backend:
        return connect(Settings.from_env(self.env))

    def start(self, module: str, *args: str, **settings: str) -> subprocess.Popen[bytes]:
        """`python -m module`, its output in a file of the test's folder."""
        with (self.folder / f"{module}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *args],
                env=self.env | settings,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def cli(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "facefleet.cli", *args]
        return subprocess.run(command, env=self.env, input=stdin, capture_output=True, text=True, timeout=PATIENCE)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=PATIENCE, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=2 * PATIENCE, **options)

    def fleet(self) -> dict[str, Any]:
        return dict(self.get("/v1/fleet").json())

    def answers(self, path: str = "/healthz") -> bool:
        try:
            return self.get(path).ok
        except requests.ConnectionError:
            return False

    def await_ready(self) -> None:
        until(lambda: self.answers("/readyz"), say="ready")

    def enrol(self, person: str, photo: Path) -> requests.Response:
        self.post("/v1/people", json={"id": person, "name": person.title()})
        with photo.open("rb") as file:
            return self.post(f"/v1/people/{person}/photos", files={"file": file})

    def classic(self, photo: Path | bytes, name: str = "", field: str = "inputFile") -> requests.Response:
        """As the course's load generator: a connection of its own, no content type, no time-out."""
        image = photo if isinstance(photo, bytes) else photo.read_bytes()
        filename = name or (photo.name if isinstance(photo, Path) else "upload.jpg")
        return requests.post(self.url, files={field: (filename, image)}, timeout=3 * PATIENCE)

    def workers(self) -> set[int]:
        """The process numbers of the workers that live."""
        fleet = self.folder / "data/fleet"
        records = [fleet / f"{instance.id}.json" for instance in self.backend.fleet.instances()]
        return {json.loads(record.read_text())["pid"] for record in records if record.exists()}

    def is_idle(self) -> bool:
        """Queue empty, fleet at zero: where it began, and where it must end."""
        fleet = self.fleet()
        return not any(fleet["queue"].values()) and not any(fleet["instances"].values())

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                kill(process)
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Service]:
    """Web tier and controller, ready; everything ends with the block."""
    service = Service(folder, settings={f"FACEFLEET_{k}": v for k, v in settings.items()})
    try:
        service.start("web_tier")
        service.start("controller")
        service.await_ready()
        yield service
    finally:
        service.stop()

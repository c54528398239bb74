"""The sides of a comparison: processes started alike, each asked for one photo at a time, a line of JSON each way."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import click
import numpy as np

from bench.encodings import Faces
from facefleet.backends.embedded import WORKER_ENVIRONMENT
from facefleet.backends.embedded.people import SqlitePeople
from facefleet.model import Box, Person, Photo
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

#: People in both sides' gallery, who do not exist.
PEOPLE = 10
KNOWN, PEOPLE_FILE = "known.npy", "people.db"
KB_PER_MB = 1024
#: Seconds for which a side may say nothing: TensorFlow takes half a minute to start on a busy machine.
PATIENCE = 300.0
#: Of what a side said before it died.
LAST_WORDS = 2000


class Died(click.ClickException):
    """A side has ended, and what it said before."""


@dataclass(frozen=True)
class Side:
    """A process that has said that it is ready, `ready_s` seconds after its start."""

    process: "subprocess.Popen[str]"
    errors: IO[str]
    ready_s: float

    def ask(self, photo: Path, **more: object) -> dict[str, Any]:
        """What it says of a photo; raises `Died`."""
        assert self.process.stdin is not None  # noqa: S101  # it was asked for
        # Where it has died, `_heard` says of what.
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"photo": str(photo)} | more) + "\n")
            self.process.stdin.flush()
        return _heard(self.process, self.errors)

    @property
    def rss_mb(self) -> float:
        """What it holds now."""
        return self._memory("VmRSS")

    @property
    def peak_mb(self) -> float:
        """The most that it has held."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0]) / KB_PER_MB


@contextmanager
def started(command: list[str], **environment: str) -> Iterator[Side]:
    """The side that a command starts, set up as a worker is; it ends with its input. Raises `Died`."""
    begun = time.perf_counter()
    with TemporaryFile("w+") as errors, _launched(command, environment, errors) as process:
        _heard(process, errors)
        yield Side(process, errors, time.perf_counter() - begun)


@contextmanager
def our_side(folder: Path) -> Iterator[Side]:
    """What a worker opens, with the gallery in the folder; settings are the defaults."""
    models = Settings().models_folder.absolute()
    settings = {f"{PREFIX}DATA": str(folder), f"{PREFIX}MODELS": str(models)}
    with started([sys.executable, "-m", "bench.ours"], **settings) as side:
        yield side


@contextmanager
def their_side(folder: Path) -> Iterator[Side]:
    """`face_recognition`, with the same gallery."""
    with started([sys.executable, "-m", "bench.theirs", str(folder / KNOWN)]) as side:
        yield side


def enrol(folder: Path) -> None:
    """Writes the gallery of people who do not exist, as each side wants it."""
    faces = Faces.like(isotropic=False)
    encodings = faces.photos(faces.people(PEOPLE))
    np.save(folder / KNOWN, encodings)
    people = SqlitePeople(folder / PEOPLE_FILE)
    for number, encoding in enumerate(encodings):
        photo = Photo("p", Box(0, 0, 1, 1), encoding.astype("<f4").tobytes())
        people.put(Person(f"person-{number}", f"Person {number}", photos=(photo,)))


def _launched(command: list[str], environment: Mapping[str, str], errors: IO[str]) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(  # noqa: S603  # commands that a bench makes, and no shell
            command,
            env=_environment(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    except OSError as e:
        raise Died(f"{command[0]} cannot be run: {e.strerror}") from e


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours, without settings of whoever runs the bench: those of the defaults are measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**kept, **WORKER_ENVIRONMENT, **more}


def _heard(process: "subprocess.Popen[str]", errors: IO[str]) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101  # it was asked for
    if not select.select([process.stdout], [], [], PATIENCE)[0]:
        process.kill()
    if line := process.stdout.readline():
        heard: dict[str, Any] = json.loads(line)
        return heard
    code = process.wait(PATIENCE)
    errors.seek(0)
    raise Died(f"a process of the bench ended with {code}; it said:\n{errors.read()[-LAST_WORDS:]}")

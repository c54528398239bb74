"""The README's commands, run as they stand there; what a comment promises must come."""

import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image
from services import Service

from bench import emulators
from tests.unit.clips import clip_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def commands(program: str, *, on_aws: bool = False) -> list[tuple[str, str]]:
    """(Command, what its comment promises) of the README's shell blocks, of its section on AWS or of the others."""
    before, _, rest = (ROOT / "README.md").read_text().partition("\n## On AWS\n")
    section, _, after = rest.partition("\n## ")
    blocks = re.findall(r"```sh\n(.*?)```", section if on_aws else before + after, re.DOTALL)
    lines = [line.partition(" # ") for block in blocks for line in block.splitlines()]
    return [(command.strip(), promise.strip()) for command, _, promise in lines if command.startswith(program)]


@pytest.fixture
def folder(tmp_path: Path, photos: Path, stranger: Path) -> Path:
    """Where a reader of the README stands: sample photos, their own people, a photo of a party, what a class has."""
    (tmp_path / ".samples").mkdir()
    (tmp_path / ".samples/photos").symlink_to(photos)
    (tmp_path / "people/Paul").mkdir(parents=True)
    shutil.copy(stranger, tmp_path / "people/Paul/1.png")
    shutil.copy(stranger, tmp_path / "party.jpg")
    with Image.open(photos / "obama2.jpg") as obama:
        (tmp_path / "lesson.mp4").write_bytes(clip_of((obama.convert("RGB"), 1.0)))
    (tmp_path / "student_data.json").write_text('[{"id": 1, "name": "mr_bean", "major": "lawyer", "year": "freshmen"}]')
    (tmp_path / "encoding").write_bytes(pickle.dumps({"name": ["mr_bean"], "encoding": [[0.125] * 128]}))
    (tmp_path / "photos").mkdir()
    shutil.copy(photos / "obama2.jpg", tmp_path / "photos/a.jpg")
    (tmp_path / "mapping").write_text("a.jpg:obama\n")
    return tmp_path


def run(service: Service, command: str, folder: Path) -> str:
    words = shlex.split(command.replace("http://127.0.0.1:8000", service.url))
    if words[0] == ".venv/bin/facefleet":
        words[:1] = [sys.executable, "-m", "facefleet.cli"]
    done = subprocess.run(
        words,
        cwd=folder,
        env=service.env | {"PATH": os.environ["PATH"]},
        input="y\n",
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture
def clean(service: Service) -> Iterator[Service]:
    yield service
    for person in ("Paul", "mr_bean"):
        service.cli("people", "erase", person, "--yes")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: apt-get install curl")
@pytest.mark.parametrize(("command", "promise"), commands("curl"))
def test_what_the_readme_does_with_curl_works(service: Service, folder: Path, command: str, promise: str) -> None:
    answer = run(service, command, folder)
    assert answer.strip() == promise if promise else '"answer":"obama"' in answer


def test_what_the_readme_does_with_the_command_line_works(clean: Service, folder: Path) -> None:
    said: dict[str, str] = {}
    for command, _ in commands(".venv/bin/facefleet"):
        _, _, id = said.get("send", "").strip().rpartition("; id ")
        words = [word for word in command.split()[1:] if word.isalpha()]
        name = " ".join(words[:2]) if words[0] in ("people", "roster") else words[0]
        said["send a clip" if "--appearances" in command else name] = run(clean, command.replace("5e0c…", id), folder)
    assert list(said) == [
        *("enrol", "send", "people reject", "status", "people erase", "send a clip"),
        *("roster load", "roster export", "roster encodings", "load", "verify", "simulate"),
    ]
    assert all((folder / picture).exists() for picture in ("burst.png", "latencies.png"))
    assert "obama" in said["send a clip"] and "0.9" in said["send a clip"]
    assert "mr_bean,mr_bean,lawyer,freshmen" in (folder / "class.csv").read_text()
    assert said["send"].startswith("party.jpg: Paul (distance 0.00")
    assert "Paul" in said["people reject"]
    assert said["people erase"].startswith("Erase Paul")
    assert "1 photos" in said["people erase"]


def test_what_the_readme_does_on_aws_works(tmp_path: Path, models: Path) -> None:
    with ExitStack() as running:
        store, cloud = running.enter_context(emulators.store()), running.enter_context(emulators.cloud())
        exported = dict(word.split("=", 1) for line, _ in commands("export", on_aws=True) for word in line.split()[1:])
        ours = {"FACEFLEET_DATA": str(tmp_path), "FACEFLEET_MODELS": str(models)}
        env = {**os.environ, **store.env, **cloud.env, **exported, **ours}
        said = [
            subprocess.run(
                [sys.executable, "-m", "facefleet.cli", *command.split()[1:]],
                env=env,
                input="y\n",
                capture_output=True,
                text=True,
                timeout=90,
            )
            for command, _ in commands(".venv/bin/facefleet", on_aws=True)
        ]
    dry, made, doctor = said
    assert "nothing was done" in dry.stdout
    assert made.returncode == 0 and " done" in made.stdout, made.stderr
    # The launch template is the reader's to make: it says so.
    assert doctor.returncode == 1 and "launch template" in doctor.stdout, doctor.stdout + doctor.stderr

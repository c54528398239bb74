"""What can be told of this machine: what is installed, where data lie, whether the port is free."""

import platform
import stat
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile

import requests

from facefleet.entry import refuse_taken_port
from facefleet.errors import AlreadyRunning, ServiceError
from facefleet.findings import Finding, ok, wrong
from facefleet.recognition.network import CONVERTED
from facefleet.recognition.proposals import NETWORKS, proposal_weights
from facefleet.recognition.weights import weights_file
from facefleet.settings import Settings

LEAST_PYTHON = (3, 11)
INSTALL = "pip install -r requirements.txt"
#: Of what runs the tiers, those that bring machine code, and may be installed and not work here.
COMPILED = {"dlib": "dlib-bin", "onnxruntime": "onnxruntime", "faiss": "faiss-cpu", "numpy": "numpy"}
TOLD = ("flask", "gunicorn", "pillow", "boto3")
#: Seconds for a service of ours, on this machine, to say that it lives.
ANSWER = 5.0


def python() -> Iterator[Finding]:
    here = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < LEAST_PYTHON:
        yield wrong("python", f"{here}: {'.'.join(map(str, LEAST_PYTHON))} or newer is needed")
    else:
        yield ok("python", here)


def libraries() -> Iterator[Finding]:
    found = []
    for module, package in COMPILED.items():
        try:
            import_module(module)
            found.append(f"{package} {version(package)}")
        except (ImportError, PackageNotFoundError) as e:
            yield wrong("libraries", f"{package} cannot be used ({e}): {INSTALL}")
    for package in TOLD:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            yield wrong("libraries", f"{package} is missing: {INSTALL}")
    yield ok("libraries", ", ".join(found))


def data_folder(folder: Path) -> Iterator[Finding]:
    if not folder.exists():
        above = next(parent for parent in folder.absolute().parents if parent.exists())
        yield from _writable("data folder", above, f"{folder} will be made")
        return
    yield from _writable("data folder", folder, f"{folder} is writable and private", private=True)


def _writable(about: str, folder: Path, words: str, *, private: bool = False) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
        with TemporaryFile(dir=folder):
            pass
    except OSError as e:
        yield wrong(about, f"{folder} cannot be written ({e.strerror}): chown it, or set FACEFLEET_DATA")
        return
    if private and mode & 0o077:
        yield wrong(about, f"{folder} may be read by others (mode {mode:o}), and faces lie in it: chmod 700 {folder}")
        return
    yield ok(about, words)


def model(folder: Path) -> Iterator[Finding]:
    if (folder / CONVERTED).is_file():
        yield from _readable(folder / CONVERTED)
        return
    try:
        sources = [weights_file(), *map(proposal_weights, NETWORKS)]
    except ServiceError as e:
        yield wrong("model", str(e))
        return
    for source in sources:
        if not source.is_file():
            yield wrong("model", f"{source} is missing: {INSTALL}")
            return
    yield ok("model", f"to be made in {folder} by the first worker, which takes a second")


def _readable(file: Path) -> Iterator[Finding]:
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except OSError as e:
        yield wrong("model", f"{file} cannot be read ({e.strerror}): chown it, or delete it to have it made anew")
        return
    yield ok("model", str(file))


def port(settings: Settings) -> Iterator[Finding]:
    try:
        refuse_taken_port(settings)
    except AlreadyRunning as e:
        yield (
            ok("port", f"a service answers at {settings.service_url}") if _answers(settings) else wrong("port", str(e))
        )
        return
    yield ok("port", f"{settings.port} on {settings.host} is free")


def _answers(settings: Settings) -> bool:
    session = requests.Session()
    # No proxy stands between us and ourselves.
    session.trust_env = False
    try:
        return session.get(f"{settings.service_url}/healthz", timeout=ANSWER).ok
    except requests.RequestException:
        return False

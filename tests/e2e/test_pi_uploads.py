"""The Pi client by signed URLs, on AWS's emulators: captures go past the web tier, and no key of a cloud is there."""

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image
from test_pi import Pi

from bench.on_aws import OnAws, service_on_aws
from facefleet import keys
from tests.unit.clips import clip_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, photos: Path, models: Path) -> Iterator[OnAws]:
    settings = {"MODELS": str(models), "MAX_INSTANCES": "1", "CACHE_BYTES": "0"}
    with service_on_aws(tmp_path_factory.mktemp("aws"), settings, stopped=1) as service:
        service.enrol(photos.parent / "people")
        yield service


@pytest.fixture
def start_pi(tmp_path: Path, service: OnAws) -> Iterator[Callable[..., Pi]]:
    """Starts the client, which knows nothing of a cloud."""
    (tmp_path / "pi.toml").write_text(f'upload = "presigned"\nurl = "{service.url}"\ninterval = 1.0\n')
    with ExitStack() as started:

        def start(*args: str) -> Pi:
            with pytest.MonkeyPatch.context() as here:
                for name in [name for name in os.environ if name.startswith("AWS_")]:
                    here.delenv(name)
                pi = Pi(tmp_path / "data", "--settings", str(tmp_path / "pi.toml"), *args)
            started.callback(pi.process.kill)
            return pi

        yield start


@pytest.fixture
def camera(photos: Path, tmp_path: Path) -> Path:
    (folder := tmp_path / "camera").mkdir()
    with Image.open(photos / "obama2.jpg") as image:
        picture = image.convert("RGB")
    picture.thumbnail((640, 640))
    picture.save(folder / "obama.jpg")
    for kind in ("mp4", "h264"):
        (folder / f"clip.{kind}").write_bytes(clip_of((picture, 0.5), kind=kind))
    return folder


def test_frames_and_clips_are_answered_out_of_the_bucket(
    service: OnAws, start_pi: Callable[..., Pi], camera: Path, tmp_path: Path
) -> None:
    pi = start_pi("--camera", f"folder:{camera}", "video", "--seconds", "3")
    pi.says("who was seen when")
    assert pi.ended() == 0, pi.lines
    with (tmp_path / "data/answers.csv").open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert {line["people"] for line in answers} == {"obama"} and len(answers) >= 6
    for line in answers:
        (kept,) = service.backend.blobs.list(keys.uploads(line["id"]))
        assert line["key"][:8] in kept.key
        assert service.backend.blobs.get(kept.key) in {path.read_bytes() for path in camera.iterdir()}
    assert not list((tmp_path / "data/spool").glob("*_*"))


def test_the_check_finds_the_bucket(start_pi: Callable[..., Pi], camera: Path, service: OnAws) -> None:
    check = start_pi("--camera", f"folder:{camera}", "--check")
    check.ended()
    assert any(line.startswith("ok    uploads captures go to ") for line in check.lines), check.lines
    assert not any("Signature" in line for line in check.lines)
    assert any(line.startswith("ok    key") for line in check.lines)

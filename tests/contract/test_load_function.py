"""A load by way of the function, by each of its entrances: as AWS's own runtime starts it, on real buckets."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from meanwhile import for_each_new
from PIL import Image
from unit.clips import clip_of
from woken import KEY, put, records

from bench import emulators
from bench.http_front import http_front
from bench.runtime_api import RuntimeApi, running
from facefleet.backends.aws.clients import connect_clients
from facefleet.cli.loading import bucket, results
from facefleet.model import BlobInfo, Box, Person, Photo
from facefleet.ports import Blobs
from facefleet.recognition.encoder import open_encoder
from facefleet.recognition.images import Picture
from facefleet.settings import Settings, env_name
from lambda_tier.handler import outside_of

from .bare import make_bare
from .conftest import aws

PATIENCE = 90.0
LABELS = "file,name,major,year\ntest_0.mp4,obama,law,freshmen\n"
MAPPING = "test_0.mp4:law,freshman\ntest_1.mp4:law,freshman\ntest_2.mp4:law,freshmen\n"


@dataclass(frozen=True)
class Deployed:
    """A function where Obama is enrolled, and its log."""

    settings: Settings
    env: dict[str, str]
    blobs: Blobs
    api: RuntimeApi
    log: Path

    def facefleet(self, *args: object, url: str = "") -> "subprocess.CompletedProcess[str]":
        env = self.env | {"FACEFLEET_URL": url, "FACEFLEET_API_KEY": KEY}
        line = [sys.executable, "-m", "facefleet.cli", *map(str, args)]
        return subprocess.run(line, env=env, capture_output=True, text=True, timeout=PATIENCE)

    @contextmanager
    def told_by_s3(self) -> Iterator[None]:
        """What comes into the input bucket wakes the function, as S3's notification does."""

        def tell(info: BlobInfo) -> None:
            self.api.invoke(records(put(self.settings.input_bucket, info.key.removeprefix("in/"), info.size)))

        with for_each_new(self.blobs, tell):
            yield


@pytest.fixture(scope="module")
def deployed(
    store: emulators.Emulator, tmp_path_factory: pytest.TempPathFactory, photos: Path, models: Path
) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("function")
    settings = aws(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.env.items():
            patch.setenv(name, value)
        clients = connect_clients()
        make_bare(clients, settings)
        clients.sqs.create_queue(QueueName=settings.response_queue)
        [face] = open_encoder(models, smallest_face=0.03)(
            Picture((photos / "obama.jpg").read_bytes(), max_pixels=10**8)
        )
        photo = Photo("0" * 32, Box(0, 0, 1, 1), face.encoding.tobytes())
        outside_of(settings, {}).people.put(Person("obama", "Obama", {"major": "law", "year": "freshmen"}, (photo,)))
        given = {env_name(f): str(value) for f in fields(settings) if (value := getattr(settings, f.name)) != f.default}
        env = {**os.environ, **store.env, **given, "FACEFLEET_MODELS": str(models)}
        of_function = env | {"FACEFLEET_API_KEYS": f"{KEY}:recognise"}
        with (folder / "log").open("wb") as log, running(of_function, stdout=log) as function:
            blobs = bucket.blobs_of(settings, connections=4)
            yield Deployed(settings, env, blobs, function.api, folder / "log")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    with Image.open(photos / "obama2.jpg") as photo:
        photo.thumbnail((320, 320))
        (folder / "test_0.mp4").write_bytes(clip_of((photo.convert("RGB"), 0.5)))
    (folder / "labels.csv").write_text(LABELS)
    (folder / "mapping").write_text(MAPPING)
    return folder


def told(run: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert run.returncode == 0, run.stdout + run.stderr
    return dict(json.loads(run.stdout))


def test_by_the_bucket_uploads_events_invocations_and_results_are_equal(
    deployed: Deployed, clips: Path, tmp_path: Path
) -> None:
    mapping, out, before = clips / "mapping", tmp_path / "r.csv", len(deployed.log.read_bytes())
    with deployed.told_by_s3():
        run = deployed.facefleet("load", clips, "--mapping", mapping, "--entrance", "bucket", "--out", out, "--json")
    assert told(run)["answered"] == 3
    (tmp_path / "log").write_bytes(deployed.log.read_bytes()[before:])
    for source in (out, f"s3://{deployed.settings.output_bucket}"):
        judged = told(deployed.facefleet("verify", source, mapping, "--log", tmp_path / "log", "--json"))
        assert (judged["right"], len(judged["spelling"])) == (3, 2)
        assert {*judged["counts"].values()} == {3} and {"events", "invocations"} < judged["counts"].keys()


@pytest.mark.parametrize("entrance", ["v1", "s3", "function"])
def test_over_http_it_answers_by_each_entrance(deployed: Deployed, clips: Path, tmp_path: Path, entrance: str) -> None:
    out = tmp_path / "r.csv"
    options = ("--entrance", entrance, "-n", 3, "--concurrency", 2, "--out", out, "--json")
    with http_front(deployed.api) as url, deployed.told_by_s3():
        assert told(deployed.facefleet("load", clips, *options, url=url))["answered"] == 3
    rows = list(results.read(out))
    assert {row.answer for row in rows} == {"obama"} and len({row.job for row in rows}) == 3
    judged = told(deployed.facefleet("verify", out, clips / "labels.csv", "--json"))
    assert judged["right"] == 3 and judged["counts"] == {"uploads": 3, "results": 3}


def test_a_wrong_key_is_told_for_what_it_is(deployed: Deployed, clips: Path) -> None:
    with http_front(deployed.api) as url:
        env = deployed.env | {"FACEFLEET_URL": url, "FACEFLEET_API_KEY": "wrong"}
        line = [sys.executable, "-m", "facefleet.cli", "load", str(clips), "--json"]
        run = subprocess.run(line, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 1 and [*json.loads(run.stdout)["errors"]] == ["key_required"]

"""`facefleet load` against a service, and `facefleet verify` of what came back: real processes, photos and clips."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image
from services import PATIENCE, Service

from bench.on_aws import service_on_aws
from facefleet.cli.loading import results
from tests.unit.clips import clip_of

pytestmark = pytest.mark.slow

MAJOR = {"major": "law", "year": "freshmen"}


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """Two photos of people that are enrolled, and what they show."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("obama.jpg", "biden.jpg"):
        shutil.copy(photos / name, folder)
    (folder / "labels.csv").write_text("file,name\nobama.jpg,obama\nbiden.jpg,biden\n")
    return folder


@pytest.mark.parametrize("entrance", ["v1", "classic"])
def test_a_load_is_answered_and_what_it_wrote_is_right(
    service: Service, folder: Path, tmp_path: Path, entrance: str
) -> None:
    out = tmp_path / "r.csv"
    options = ("-n", "9", "--concurrency", "3", "--entrance", entrance, "--out", str(out), "--json")
    run = service.cli("load", str(folder), *options)
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(run.stdout)
    assert (told["answered"], told["failed"]) == (9, 0) and told["cached"] > 0
    rows = list(results.read(out))
    assert {row.file: row.answer for row in rows} == {"obama.jpg": "obama", "biden.jpg": "biden"}
    if entrance == "v1":
        assert service.get(f"/v1/recognitions/{rows[0].job}").json()["answer"] == rows[0].answer
    judged = service.cli("verify", str(out), str(folder / "labels.csv"), "--json")
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert json.loads(judged.stdout)["counts"] == {"uploads": 9, "results": 9}


@pytest.fixture
def student(service: Service) -> Iterator[None]:
    """Obama studies, as long as a test needs it."""
    where = f"{service.url}/v1/people/obama"
    assert requests.patch(where, json={"attributes": MAJOR}, timeout=PATIENCE).ok
    yield
    requests.patch(where, json={"attributes": {}}, timeout=PATIENCE)


@pytest.mark.usefixtures("student")
def test_a_clip_is_answered_with_attributes_and_held_against_the_truth(
    service: Service, photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    with Image.open(photos / "obama.jpg") as photo:
        photo.thumbnail((480, 480))
        (folder / "test_0.mp4").write_bytes(clip_of((photo.convert("RGB"), 1.0)))
    (folder / "mapping").write_text("test_0.mp4:law,freshman\ntest_7.mp4:law,freshman\n")
    out = tmp_path / "r.jsonl"
    run = service.cli("load", str(folder), "--mapping", str(folder / "mapping"), "--out", str(out))
    assert run.returncode == 0, run.stdout + run.stderr
    assert {(row.name, row.answer) for row in results.read(out)} == {("test_0.mp4", "obama"), ("test_7.mp4", "obama")}
    judged = service.cli("verify", str(out), str(folder / "mapping"))
    assert judged.returncode == 0 and "2 of 2, 2 of them in another spelling" in judged.stdout


@pytest.mark.timeout(300)
def test_by_the_bucket_s_presigned_addresses_the_fleet_answers_photos_and_clips(
    folder: Path, tmp_path: Path, photos: Path, models: Path
) -> None:
    with Image.open(photos / "obama2.jpg") as photo:
        photo.thumbnail((480, 480))
        (folder / "test_0.mp4").write_bytes(clip_of((photo.convert("RGB"), 0.5)))
    quick = {"LEAST_BILL": "0", "MODELS": str(models), "MAX_INSTANCES": "1"}
    with service_on_aws(tmp_path, quick, stopped=1) as service:
        service.enrol(photos.parent / "people")
        service.run("facefleet.cli", "load", str(folder), "--entrance", "s3", "--out", str(tmp_path / "r.csv"))
    answered = {row.name: row.answer for row in results.read(tmp_path / "r.csv")}
    assert answered == {"obama.jpg": "obama", "biden.jpg": "biden", "test_0.mp4": "obama"}


def test_a_photo_that_is_none_fails_with_the_service_s_code(service: Service, folder: Path, tmp_path: Path) -> None:
    (folder / "notes.jpg").write_text("no image at all")
    run = service.cli("load", str(folder), "--out", str(tmp_path / "r.csv"))
    assert run.returncode == 1 and "1 × not_an_image: " in run.stdout and "answered    2 of 3" in run.stdout
    judged = service.cli("verify", str(tmp_path / "r.csv"), str(folder / "labels.csv"))
    assert judged.returncode == 1 and "notes" in judged.stdout and "3 uploads ≠ 2 results" in judged.stdout


def test_clearing_takes_the_answers_of_earlier_runs(service: Service, folder: Path, tmp_path: Path) -> None:
    service.cli("load", str(folder), "--out", str(tmp_path / "r.csv"))
    job = next(results.read(tmp_path / "r.csv")).job
    assert service.get(f"/v1/recognitions/{job}").status_code == 200
    run = service.cli("load", str(folder), "--clear", "--yes", "--json")
    assert run.returncode == 0 and run.stderr.startswith("removed: ")
    assert service.get(f"/v1/recognitions/{job}").status_code == 404


def test_without_a_service_a_load_says_how_to_start_one(tmp_path: Path, folder: Path) -> None:
    run = Service(tmp_path).cli("load", str(folder))
    assert run.returncode == 1 and "2 × unreachable" in run.stdout and "Traceback" not in run.stderr

"""Files that go to S3 by a URL, past the web tier, and are asked about by their ids: as a client without cloud keys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from described import Ask, asking
from PIL import Image
from services import until

from bench.on_aws import OnAws, service_on_aws
from facefleet import keys
from tests.unit.clips import clip_of, sound_alone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, photos: Path, models: Path) -> Iterator[OnAws]:
    settings = {"MODELS": str(models), "MAX_INSTANCES": "1", "VIDEO_WAIT": "60", "CACHE_BYTES": "0"}
    with service_on_aws(tmp_path_factory.mktemp("aws"), settings, stopped=1) as service:
        service.enrol(photos.parent / "people")
        yield service


@pytest.fixture(scope="module")
def ask(service: OnAws) -> Ask:
    return asking(service)


@pytest.fixture(scope="module")
def clip(photos: Path) -> bytes:
    picture = Image.open(photos / "obama2.jpg").convert("RGB")
    picture.thumbnail((640, 640))
    return clip_of((picture, 0.5))


def uploaded(ask: Ask, filename: str, data: bytes) -> dict[str, Any]:
    begun = ask("POST", "/v1/uploads", json={"filename": filename, "bytes": len(data)})
    assert begun.status_code == 201 and begun.headers["Location"] == begun.json()["result"]
    upload = begun.json()["upload"]
    put = requests.request(upload["method"], upload["url"], data=data, headers=upload["headers"], timeout=60)
    assert put.status_code == 200, put.text
    return dict(begun.json())


def test_a_clip_goes_past_the_web_tier_and_is_answered_under_its_upload(service: OnAws, ask: Ask, clip: bytes) -> None:
    begun = uploaded(ask, "of him.mp4", clip)
    id = begun["upload"]["id"]
    assert ask("GET", begun["result"]).status_code == 404, "nobody has asked about it yet"
    result = ask("POST", "/v1/videos", json={"upload": id}).json()
    assert (result["id"], result["answer"], result["filename"]) == (id, "obama", "of him.mp4")
    assert ask("GET", begun["result"]).json() == result
    assert service.backend.blobs.get(keys.upload(id, "of him.mp4")) == clip
    assert service.backend.blobs.get(keys.answer("of him.mp4")) == b"obama"


def test_a_photo_goes_the_same_way(ask: Ask, photos: Path) -> None:
    begun = uploaded(ask, "of him.jpg", (photos / "obama2.jpg").read_bytes())
    result = ask("POST", "/v1/recognitions", json={"upload": begun["upload"]["id"]}).json()
    assert (result["answer"], begun["result"]) == ("obama", f"/v1/recognitions/{result['id']}")


def test_who_is_erased_is_erased_from_what_was_uploaded(service: OnAws, ask: Ask, clip: bytes) -> None:
    ids = [uploaded(ask, f"{number}.mp4", clip)["upload"]["id"] for number in range(2)]
    for id in ids:
        assert ask("POST", "/v1/videos", json={"upload": id}).json()["answer"] == "obama"
    try:
        assert ask("DELETE", "/v1/people/obama").json()["erased"]["answers"] >= 2
        kept = [info.key for id in ids for info in service.backend.blobs.list(keys.uploads(id), every_version=True)]
        assert kept == []
        assert [ask("POST", "/v1/videos", json={"upload": id}).status_code for id in ids] == [404, 404]
    finally:
        service.enrol(Path(__file__).parents[2] / ".samples/people")


def test_an_upload_that_is_no_clip_is_told_by_the_worker(ask: Ask) -> None:
    for data, code in ((b"no clip", "not_a_video"), (sound_alone(), "no_video_stream")):
        id = uploaded(ask, "a.mp4", data)["upload"]["id"]
        for _ in range(2):
            response = ask("POST", "/v1/videos", json={"upload": id})
            assert response.json()["code"] == code
        assert until(lambda id=id: ask("GET", f"/v1/videos/{id}").json()["status"] == "failed")

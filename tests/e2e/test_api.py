"""`/v1` and the classic upload as clients see them; every answer is held against `openapi.json`."""

import base64
import re
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from described import Ask, asking, send
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from services import Service, until

from facefleet import keys
from facefleet.backends import connect
from facefleet.model import InstanceState
from facefleet.settings import Settings
from web_tier.app import create_app
from web_tier.router import ReplyRouter

pytestmark = pytest.mark.slow

RESULT = ["id", "filename", "status", "answer", "error", "faces", "gallery_version", "model", "timings"]
FLEET = ["queue", "instances", "desired", "max", "reason", "workers", "decision", "last"]
FLEET += ["policy", "epoch", "leader", "stale", "oldest", "cost"]
FACE = ["box", "person", "name", "distance", "similarity", "threshold", "match", "attributes", "candidates"]


@pytest.fixture(scope="module")
def spec(service: Service) -> Any:
    return service.get("/openapi.json").json()


@pytest.fixture(scope="module")
def ask(service: Service) -> Ask:
    return asking(service)


@pytest.fixture
def add(ask: Ask) -> Iterator[Callable[..., requests.Response]]:
    """Adds people whom the test's end erases."""
    added = []

    def add(id: str, **body: Any) -> requests.Response:
        added.append(id)
        return ask("POST", "/v1/people", json={"id": id, **body})

    yield add
    for id in added:
        ask("DELETE", f"/v1/people/{id}")


def test_openapi_knows_every_route_and_no_other(spec: Any, tmp_path: Path) -> None:
    settings = Settings.from_env({"FACEFLEET_DATA": str(tmp_path)})
    backend = connect(settings)
    with backend.open_replies() as replies:
        app = create_app(backend, ReplyRouter(replies, backend.blobs), settings)
    served = {f"{m} {r.rule}" for r in app.url_map.iter_rules() for m in r.methods or () if r.endpoint != "static"}
    described = {f"{m.upper()} {path}" for path, item in spec["paths"].items() for m in item if m != "parameters"}
    nameless = {re.sub("<.*?>", "{}", route) for route in served if not re.match("HEAD|OPTIONS", route)}
    nowhere = {f"{method} /{{}}" for method in ("GET", "PUT", "PATCH", "DELETE")}  # says 404, and no more
    assert nameless - nowhere == {re.sub("{.*?}", "{}", route) for route in described}


@pytest.mark.parametrize("shape", ["multipart", "body", "json"])
def test_a_photo_in_any_shape_of_body_is_answered_in_full(shape: str, ask: Ask, photos: Path) -> None:
    image = (photos / "obama2.jpg").read_bytes()
    options: Any = {
        "multipart": {"files": {"file": ("a/of him.jpg", image)}},
        "body": {"data": image, "headers": {"Content-Type": "image/jpeg"}, "params": {"filename": "a/of him.jpg"}},
        "json": {"json": {"image": base64.b64encode(image).decode(), "filename": "a/of him.jpg"}},
    }
    result = ask("POST", "/v1/recognitions", **options[shape]).json()
    assert list(result) == RESULT
    assert [result[k] for k in RESULT[1:5]] == ["of him.jpg", "done", "obama", None]
    (face,) = result["faces"]
    assert list(face) == FACE
    assert (face["person"], face["name"], face["match"], face["candidates"]) == ("obama", "Obama", True, [])
    assert face["distance"] < face["threshold"] and face["similarity"] > 0.5
    assert ask("GET", f"/v1/recognitions/{result['id']}").json() == result


def test_top_k_tells_the_nearest_people_nearest_first(ask: Ask, photos: Path) -> None:
    (face,) = send(ask, photos / "obama2.jpg", params={"top_k": 2}).json()["faces"]
    assert [c["person"] for c in face["candidates"]] == ["obama", "biden"]
    assert face["candidates"][0]["distance"] == face["distance"] < face["candidates"][1]["distance"]


def test_a_client_that_prefers_not_to_wait_finds_its_result_at_the_location(ask: Ask, photos: Path) -> None:
    response = send(ask, photos / "biden.jpg", headers={"Prefer": "respond-async"})
    assert response.status_code == 202 and response.headers["Preference-Applied"] == "respond-async"
    assert response.headers["Location"] == f"/v1/recognitions/{response.json()['id']}"
    until(lambda: ask("GET", response.headers["Location"]).status_code == 200)
    assert ask("GET", response.headers["Location"]).json()["answer"] == "biden"


@pytest.mark.parametrize("id", ["0" * 32, "short", "%00"])
def test_an_unknown_recognition_is_a_problem_404(id: str, ask: Ask) -> None:
    assert ask("GET", f"/v1/recognitions/{id}").json()["code"] == "not_found"


def test_an_answer_that_takes_too_long_is_found_later_where_the_504_says(
    ask: Ask, start_service: Any, photos: Path
) -> None:
    hasty = start_service(WAIT_LIMIT="0.001")
    response = send(ask, photos / "obama.jpg", of=hasty)
    assert response.status_code == 504 and response.json()["code"] == "no_answer_yet"
    until(lambda: ask("GET", response.headers["Location"], of=hasty).status_code == 200)


def test_a_photo_too_large_for_a_message_is_answered_and_leaves_no_claim_behind(
    start_service: Any, photos: Path
) -> None:
    service = start_service(MAX_MESSAGE_BYTES="1024")
    assert service.enrol("obama", photos / "obama.jpg").status_code == 201
    assert service.classic(photos / "obama2.jpg").text == "obama2:obama"
    until(lambda: not list(service.backend.blobs.list(f"{keys.INPUT}claims/")), say="claims gone")
    assert [info.key for info in service.backend.blobs.list(keys.INPUT)] == ["in/obama2.jpg"]


def test_a_person_is_added_once_changed_by_merging_and_erased_once(ask: Ask, add: Any) -> None:
    created = add("paul", name="Paul", attributes={"major": "physics", "year": 2})
    assert created.status_code == 201 and created.headers["Location"] == "/v1/people/paul"
    assert add("paul").status_code == 409
    changed = ask("PATCH", "/v1/people/paul", json={"attributes": {"major": None, "club": "chess"}}).json()
    assert changed == {
        "id": "paul",
        "name": "Paul",
        "attributes": {"year": 2, "club": "chess"},
        "photos": [],
        "rejections": [],
    }
    assert ask("PATCH", "/v1/people/paul", json={"name": "Paul M."}).json() == changed | {"name": "Paul M."}
    receipt = ask("DELETE", "/v1/people/paul").json()
    assert receipt == {"erased": {"people": 1, "photos": 0, "encodings": 0, "answers": 0}}
    assert ask("DELETE", "/v1/people/paul").status_code == 204
    assert ask("GET", "/v1/people/paul").status_code == ask("PATCH", "/v1/people/paul", json={}).status_code == 404


def test_pages_of_people_follow_each_other_by_cursor(ask: Ask, add: Any) -> None:
    for id in ("p@1", "p@2", "é"):
        add(id)
    seen, cursor = [], ""
    while cursor is not None:
        page = ask("GET", "/v1/people", params={"limit": 2, "cursor": cursor}).json()
        seen += [person["id"] for person in page["people"]]
        cursor = page["next"]
    assert seen == sorted(seen) and {"biden", "obama", "p@1", "p@2", "é"} <= set(seen)


def test_a_stranger_has_a_name_once_enrolled_and_leaves_no_trace_once_erased(
    ask: Ask, add: Any, service: Service, stranger: Path
) -> None:
    assert send(ask, stranger).json()["answer"] == "unknown"
    add("eileen", attributes={"job": "astronaut"})
    enrolled = ask("POST", "/v1/people/eileen/photos", files={"file": (stranger.name, stranger.read_bytes())})
    began = time.monotonic()
    named = send(ask, stranger).json()
    assert time.monotonic() - began < 2
    assert named["answer"] == "eileen" and named["faces"][0]["attributes"] == {"job": "astronaut"}
    later = send(ask, stranger, headers={"Prefer": "respond-async"}).json()["id"]
    until(lambda: ask("GET", f"/v1/recognitions/{later}").status_code == 200)
    assert ask("GET", enrolled.headers["Location"]).json() == enrolled.json()
    blobs = service.folder / "data" / "blobs"
    assert (blobs / "photos" / f"eileen%2F{enrolled.json()['photo']['id']}").read_bytes() == stranger.read_bytes()

    erased = ask("DELETE", "/v1/people/eileen").json()["erased"]
    assert erased == {"people": 1, "photos": 1, "encodings": 1, "answers": 3}
    left = [path.read_bytes() for path in blobs.rglob("*") if path.is_file()]
    assert stranger.read_bytes() not in left and not [data for data in left if b"eileen" in data]
    assert send(ask, stranger).json()["answer"] == "unknown"
    assert [ask("GET", f"/v1/recognitions/{id}").status_code for id in (named["id"], later)] == [404, 404]
    assert ask("GET", enrolled.headers["Location"]).status_code == 404


def test_a_purge_must_be_confirmed_and_spares_people_unless_told_otherwise(
    ask: Ask, start_service: Any, photos: Path
) -> None:
    own = start_service()
    own.enrol("obama", photos / "obama.jpg")
    where = f"/v1/recognitions/{send(ask, photos / 'obama2.jpg', of=own).json()['id']}"
    assert ask("POST", "/v1/purge", of=own, json={"people": True}).json()["code"] == "not_confirmed"
    assert ask("GET", where, of=own).status_code == 200
    removed = ask("POST", "/v1/purge", of=own, json={"confirm": "purge"}).json()["removed"]
    assert removed["blobs"] == 4, "image and answer by name, and the result of each job"
    assert [ask("GET", path, of=own).status_code for path in (where, "/v1/people/obama")] == [404, 200]
    removed = ask("POST", "/v1/purge", of=own, json={"confirm": "purge", "people": True}).json()["removed"]
    assert removed["people"] == 1 and ask("GET", "/v1/people", of=own).json()["people"] == []
    assert send(ask, photos / "obama2.jpg", of=own).json()["answer"] == "unknown"


def test_a_service_that_runs_is_alive_and_ready_and_tells_of_its_fleet(ask: Ask, spec: Any) -> None:
    assert ask("GET", "/healthz").json() == {"status": "alive", "version": spec["info"]["version"]}
    assert ask("GET", "/readyz").json() == {"failing": []}
    assert "<html" in ask("GET", "/").text
    fleet = ask("GET", "/v1/fleet").json()
    assert list(fleet) == FLEET
    assert list(fleet["instances"]) == list(InstanceState)
    assert fleet["reason"] and 0 <= fleet["desired"] <= fleet["max"]


def test_prometheus_can_read_what_the_controller_and_the_service_tell(ask: Ask) -> None:
    response = ask("GET", "/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    told = samples(response.text)
    assert time.time() - told["facefleet_controller_last_tick_timestamp_seconds"] < 60
    assert told["facefleet_max_instances"] >= 1 and told["facefleet_dead_letters"] == 0


def samples(text: str) -> dict[str, float]:
    return {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def test_without_a_controller_the_service_is_alive_and_not_ready(ask: Ask, service: Service, tmp_path: Path) -> None:
    alone = type(service)(tmp_path)
    try:
        alone.start("web_tier")
        until(alone.answers)
        ready = ask("GET", "/readyz", of=alone)
        assert (ready.status_code, ready.json()) == (503, {"failing": ["controller"]})
        assert "controller" in ask("GET", "/v1/fleet", of=alone).json()["reason"]
        assert samples(ask("GET", "/metrics", of=alone).text)["facefleet_controller_last_tick_timestamp_seconds"] == 0
    finally:
        alone.stop()


@pytest.mark.parametrize(("field", "body"), [("myfile", "%s"), ("inputFile", "test_00:%s")])
@pytest.mark.parametrize("path", ["/", "/upload", "/any/path.php"])
def test_each_classic_dialect_gets_the_bytes_it_compares(
    field: str, body: str, path: str, ask: Ask, service: Service, photos: Path
) -> None:
    Image.new("RGB", (320, 240), "teal").save(wall := BytesIO(), "JPEG")
    for image, name in ((wall.getvalue(), "unknown"), ((photos / "obama2.jpg").read_bytes(), "obama")):
        response = service.post(path, files={field: ("test_00.jpg", image)})
        assert b"Content-Type" not in response.request.body[:200], "the clients of the course send none"
        assert (response.status_code, response.content) == (200, (body % name).encode())
        assert response.headers["Content-Type"].startswith("text/plain")
        assert service.folder.joinpath("data/blobs/facefleet-input/test_00.jpg").read_bytes() == image
        assert service.folder.joinpath("data/blobs/facefleet-output/test_00").read_bytes() == name.encode()
    assert ask("POST", "/", files={field: ("test_00.jpg", image)}).text == body % "obama"

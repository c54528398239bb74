"""`Idempotency-Key` as clients use it: the same request again, whatever broke in between, is one job and one answer."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from described import Ask, asking, send
from services import Service, kill, running, until

from facefleet import keys

pytestmark = pytest.mark.slow

API_KEYS = "k-one:admin,k-two:recognise"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Service]:
    """A service with one worker, which stays, and which knows obama; nothing is answered from the cache."""
    with running(tmp_path_factory.mktemp("own"), MIN_INSTANCES="1", MAX_INSTANCES="1", CACHE_BYTES="0") as service:
        assert service.enrol("obama", photos / "obama.jpg").status_code == 201
        yield service


@pytest.fixture(scope="module")
def ask(own: Service) -> Ask:
    return asking(own)


def under(key: str, **more: str) -> dict[str, Any]:
    return {"headers": {"Idempotency-Key": key} | more}


def is_replayed(response: requests.Response) -> bool:
    return response.headers.get("Idempotent-Replayed") == "true"


def results(service: Service) -> set[str]:
    return {info.key for info in service.backend.blobs.list(keys.RESULTS)}


def test_the_same_again_has_the_same_answer_and_counts_once(own: Service, ask: Ask, photos: Path) -> None:
    key, before = str(uuid4()), results(own)
    first, again = (send(ask, photos / "obama2.jpg", **under(text)) for text in (key, f'"{key}"'))
    assert (first.status_code, first.json()["answer"], is_replayed(first)) == (200, "obama", False)
    assert (again.status_code, again.json(), is_replayed(again)) == (200, first.json(), True)
    assert results(own) - before == {keys.result(first.json()["id"])}
    later = send(ask, photos / "obama2.jpg", **under(key, Prefer="respond-async"))
    assert later.status_code == 202 and is_replayed(later)
    assert ask("GET", later.headers["Location"]).json() == first.json()


def test_many_at_the_same_time_are_one(own: Service, ask: Ask, photos: Path) -> None:
    key, before = str(uuid4()), results(own)
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: send(ask, photos / "obama2.jpg", **under(key)), range(8)))
    assert [one.status_code for one in responses] == [200] * 8
    assert all(one.json() == responses[0].json() for one in responses)
    assert len(results(own) - before) == 1
    assert sorted(map(is_replayed, responses)) == [False] + [True] * 7


def test_another_request_under_the_key_and_a_key_that_is_none_are_told(ask: Ask, photos: Path) -> None:
    key = str(uuid4())
    send(ask, photos / "obama2.jpg", **under(key))
    changed = (
        send(ask, photos / "biden.jpg", name="obama2.jpg", **under(key)),
        send(ask, photos / "obama2.jpg", name="other.jpg", **under(key)),
        send(ask, photos / "obama2.jpg", params={"top_k": 1}, **under(key)),
    )
    assert [(one.status_code, one.json()["code"]) for one in changed] == [(422, "idempotency_key_reused")] * 3
    bad = send(ask, photos / "obama2.jpg", **under('"'))
    assert (bad.status_code, bad.json()["code"]) == (400, "bad_idempotency_key")


def test_a_failure_is_the_same_problem_again(ask: Ask, photos: Path, tmp_path: Path) -> None:
    (damaged := tmp_path / "damaged.jpg").write_bytes((photos / "obama2.jpg").read_bytes()[:-20_000])
    key = str(uuid4())
    first, again = (send(ask, damaged, **under(key)) for _ in range(2))
    assert (first.status_code, first.json()["code"]) == (422, "damaged_image")
    assert again.json() == first.json() and (is_replayed(first), is_replayed(again)) == (False, True)


def test_a_purge_in_between_has_it_answered_anew(own: Service, ask: Ask, photos: Path) -> None:
    key = str(uuid4())
    first = send(ask, photos / "obama2.jpg", **under(key))
    assert ask("POST", "/v1/purge", json={"confirm": "purge"}).status_code == 200
    assert list(own.backend.blobs.list(keys.IDEMPOTENCY)) == []
    again = send(ask, photos / "obama2.jpg", **under(key))
    assert (again.status_code, again.json()["answer"], is_replayed(again)) == (200, "obama", False)
    assert again.json()["id"] == first.json()["id"] and again.json()["timings"] != first.json()["timings"]


@pytest.fixture
def halted(tmp_path: Path) -> Iterator[tuple[Service, "subprocess.Popen[bytes]"]]:
    """A web tier, and no worker yet."""
    service = Service(tmp_path, settings={"FACEFLEET_API_KEYS": API_KEYS, "FACEFLEET_HOST": "127.0.0.1"})
    try:
        yield service, with_web_tier(service)
    finally:
        service.stop()


def with_web_tier(service: Service) -> "subprocess.Popen[bytes]":
    process = service.start("web_tier")
    until(service.answers)
    return process


def post(service: Service, photo: Path, key: str, *, api_key: str = "k-one", **headers: str) -> requests.Response:
    files = {"file": (photo.name, photo.read_bytes())}
    return service.post(
        "/v1/recognitions", files=files, headers={"x-api-key": api_key, "Idempotency-Key": key} | headers
    )


def notes(service: Service) -> int:
    return len(list(service.backend.blobs.list(keys.IDEMPOTENCY)))


@pytest.mark.parametrize("noted", [True, False], ids=["after it was noted", "before it was noted"])
def test_a_web_tier_that_is_killed_between_send_and_answer_answers_the_retry(
    halted: tuple[Service, "subprocess.Popen[bytes]"], photos: Path, noted: bool
) -> None:
    service, process = halted
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, service, photos / "obama2.jpg", "one")
        until(lambda: notes(service) == 1 and service.backend.requests.depth().backlog == 1, say="sent and noted")
        kill(process)
        with pytest.raises(requests.ConnectionError):
            first.result()
    (note,) = service.backend.blobs.list(keys.IDEMPOTENCY)
    if not noted:
        service.backend.blobs.delete(note.key)  # as where it was killed a moment earlier
    with_web_tier(service)
    with ThreadPoolExecutor(1) as pool:
        retry = pool.submit(post, service, photos / "obama2.jpg", "one")
        until(lambda: noted or service.backend.requests.depth().backlog == 2, say="sent again")
        service.start("controller")
        answered = retry.result()
    assert answered.status_code == 200 and is_replayed(answered) is noted
    assert answered.json()["answer"] == "unknown", "nobody is enrolled"
    until(lambda: service.backend.requests.depth().backlog == 0, say="all done")
    assert results(service) == {keys.result(answered.json()["id"])}
    last = post(service, photos / "obama2.jpg", "one")
    assert is_replayed(last) and last.json()["id"] == answered.json()["id"]


def test_clients_with_different_api_keys_share_nothing(
    halted: tuple[Service, "subprocess.Popen[bytes]"], photos: Path
) -> None:
    service, _ = halted
    later = {"Prefer": "respond-async"}
    mine, theirs, again, changed = (
        post(service, photos / photo, "one", api_key=api_key, **later)
        for photo, api_key in (
            ("obama2.jpg", "k-one"),
            ("obama2.jpg", "k-two"),
            ("obama2.jpg", "k-one"),
            ("biden.jpg", "k-two"),
        )
    )
    assert [one.status_code for one in (mine, theirs, again, changed)] == [202, 202, 202, 422]
    assert mine.json()["id"] == again.json()["id"] != theirs.json()["id"]
    assert [is_replayed(one) for one in (mine, theirs, again)] == [False, False, True]
    assert service.backend.requests.depth().backlog == 2
    written = [path for path in (service.folder / "data/blobs").rglob("*") if path.is_file()]
    assert written and not [path for path in written if b"k-one" in path.read_bytes()], "no key is kept, digests are"


def test_a_request_without_a_key_notes_nothing(own: Service, ask: Ask, photos: Path) -> None:
    before = notes(own)
    first, again = (send(ask, photos / "obama2.jpg") for _ in range(2))
    assert first.json()["id"] != again.json()["id"] and not is_replayed(again)
    assert notes(own) == before

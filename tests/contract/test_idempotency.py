"""A request that comes again under its key: one job and one answer, whatever happened in between, on every backend."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from controller.housekeeping import forget
from facefleet import keys, wire
from facefleet.model import Person
from facefleet.ports import Backend
from facefleet.settings import Settings
from web_tier.erasure import erase_person, purge
from web_tier.idempotency import TURN

from .conftest import OpenBackend
from .web import OTHER, PATIENCE, Web, an_image, code_of, is_replayed, until, web_processes, working

LATER = {"Prefer": "respond-async"}

OpenWeb = Callable[..., Web]


@pytest.fixture
def backend(open_backend: OpenBackend) -> Backend:
    return open_backend(visibility_timeout=30.0)


@pytest.fixture
def open_web(backend: Backend, settings: Settings) -> Iterator[OpenWeb]:
    """`open_web(wait_limit=0.1)`: a web process with a response queue of its own, before the same backend."""
    with web_processes(settings, cache_bytes=0, wait_limit=PATIENCE) as open_it:
        yield open_it


@pytest.fixture
def web(open_web: OpenWeb) -> Web:
    return open_web()


def results(backend: Backend) -> list[str]:
    return [info.key for info in backend.blobs.list(keys.RESULTS)]


def test_the_same_again_has_the_same_answer_and_no_worker_looks(backend: Backend, open_web: OpenWeb) -> None:
    with working(backend) as done:
        first = open_web().post()
        again = [open_web().post(), open_web().post(key='"key"')]
    assert (first.status_code, is_replayed(first)) == (200, False)
    assert [(one.status_code, is_replayed(one), one.get_json()) for one in again] == [(200, True, first.get_json())] * 2
    assert (done, results(backend)) == ([first.get_json()["id"]], [keys.result(first.get_json()["id"])])


def test_of_many_at_the_same_time_one_is_sent_and_all_are_answered(backend: Backend, web: Web) -> None:
    with working(backend) as done, ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: web.post(), range(8)))
    assert [one.status_code for one in responses] == [200] * 8
    assert sorted(map(is_replayed, responses)) == [False] + [True] * 7
    assert all(one.get_json() == responses[0].get_json() for one in responses)
    assert len(done) == len(results(backend)) == 1


def test_while_the_first_waits_for_its_answer_the_next_is_told_at_once(backend: Backend, web: Web) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(web.post)
        until(lambda: backend.requests.depth().backlog == 1)
        began = time.monotonic()
        again = web.post(**LATER)
        assert again.status_code == 202 and time.monotonic() - began < TURN / 2
        assert web.app.test_client().get(again.headers["Location"]).status_code == 202, "queued, not unknown"
        with working(backend):
            assert first.result(PATIENCE).get_json()["id"] == again.get_json()["id"]


def test_at_several_processes_at_the_same_time_it_is_one_job(backend: Backend, open_web: OpenWeb) -> None:
    webs = [open_web() for _ in range(3)]
    with working(backend), ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(lambda number: webs[number % 3].post(), range(6)))
    assert [one.status_code for one in responses] == [200] * 6
    assert len({one.get_json()["id"] for one in responses}) == len(results(backend)) == 1


def test_a_retry_elsewhere_waits_for_the_answer_that_is_on_its_way(backend: Backend, open_web: OpenWeb) -> None:
    first = open_web(wait_limit=0.05).post()
    assert (first.status_code, code_of(first)) == (504, "no_answer_yet")
    with ThreadPoolExecutor(1) as pool:
        retry = pool.submit(open_web().post)
        began = time.monotonic()
        with working(backend) as done:
            response = retry.result(PATIENCE)
    assert time.monotonic() - began < 10, "by the stored result, since the reply goes to the first"
    assert response.status_code == 200 and is_replayed(response)
    assert first.headers["Location"].endswith(response.get_json()["id"])
    assert done == [response.get_json()["id"]]


def test_who_prefers_not_to_wait_has_the_same_location(backend: Backend, web: Web) -> None:
    first, again = web.post(**LATER), web.post(**LATER)
    (message,) = backend.requests.receive(wait=5.0)
    assert not wire.load_job(message.body).again, "a worker need not look whether it was answered"
    backend.requests.release(message)
    with working(backend):
        waited = web.post()
    last = web.post(**LATER)
    assert [one.status_code for one in (first, again, waited, last)] == [202, 202, 200, 202]
    assert [is_replayed(one) for one in (first, again, waited, last)] == [False, True, True, True]
    assert {one.headers["Location"] for one in (first, again, last)} == {f"/v1/recognitions/{waited.get_json()['id']}"}


def test_clients_with_different_api_keys_share_nothing(backend: Backend, open_web: OpenWeb) -> None:
    web = open_web(api_keys="k-one:recognise,k-two:recognise")
    mine, theirs, again = (web.post(**LATER, **{"x-api-key": key}) for key in ("k-one", "k-two", "k-one"))
    assert [is_replayed(one) for one in (mine, theirs, again)] == [False, False, True]
    assert mine.get_json() == again.get_json() != theirs.get_json()
    assert backend.requests.depth().backlog == 2
    assert web.post(OTHER, **{"x-api-key": "wrong"}).status_code == 401


def test_a_key_stands_for_one_request(backend: Backend, web: Web) -> None:
    first = web.post(**LATER)
    for other in (web.post(OTHER), web.post(filename="b.jpg")):
        assert (other.status_code, code_of(other)) == (422, "idempotency_key_reused")
    assert web.post(OTHER, key="other", **LATER).get_json()["id"] != first.get_json()["id"]
    assert backend.requests.depth().backlog == 2


def test_a_purge_frees_every_key_at_once(backend: Backend, web: Web) -> None:
    with working(backend) as done:
        first = web.post()
        web.post(OTHER, key="other")
        assert purge(backend.requests, backend.dead, backend.blobs)["blobs"] > 0
        assert list(backend.blobs.list(keys.IDEMPOTENCY)) == []
        again, new = web.post(), web.post(key="other")
    assert [(one.status_code, is_replayed(one)) for one in (again, new)] == [(200, False)] * 2
    assert again.get_json()["id"] == first.get_json()["id"] and len(done) == 4


def test_an_answer_that_was_erased_is_asked_for_again(backend: Backend, web: Web) -> None:
    backend.people.put(Person("paul", "Paul"))
    with working(backend) as done:
        first = web.post()
        erase_person(backend.people, backend.blobs, backend.requests, "paul")
        again = web.post()
    assert again.status_code == 200 and not is_replayed(again)
    assert done == [first.get_json()["id"]] * 2


def test_a_refused_request_does_not_use_its_key_up(backend: Backend, open_web: OpenWeb) -> None:
    full = open_web(max_backlog=1)
    full.post(key="first", **LATER)
    refused = full.post()
    assert (refused.status_code, code_of(refused)) == (503, "backlog_full")
    assert len(list(backend.blobs.list(keys.IDEMPOTENCY))) == 1
    with working(backend):
        response = open_web().post(OTHER)
    assert response.status_code == 200 and not is_replayed(response)


def test_what_is_sent_twice_is_one_result_also_where_its_image_fits_no_message(
    open_backend: OpenBackend, open_web: OpenWeb
) -> None:
    backend = open_backend(visibility_timeout=30.0)
    web = open_web()
    web.blobs.broken = keys.IDEMPOTENCY
    large = an_image(77) + bytes(backend.requests.max_message_bytes)
    sent = [web.post(large, **LATER), web.post(large, **LATER)]
    assert [one.status_code for one in sent] == [202, 202], "that it cannot be noted stops nothing"
    with working(backend) as done:
        answered = web.post(large)
        until(lambda: len(done) == 3)
    assert answered.status_code == 200 and len(set(done)) == len(results(backend)) == 1
    assert web.post(large, key=None, **LATER).status_code == 202
    assert len(list(backend.blobs.list(f"{keys.INPUT}claims/"))) == 1, "those of the jobs that are done are gone"


def test_an_image_that_is_gone_and_comes_again_is_not_told_to_be_gone_meanwhile(
    backend: Backend, open_web: OpenWeb
) -> None:
    web, large = open_web(), an_image(78) + bytes(backend.requests.max_message_bytes)
    location = web.post(large, **LATER).headers["Location"]
    (claim,) = backend.blobs.list(f"{keys.INPUT}claims/")
    backend.blobs.delete(claim.key)
    client = web.app.test_client()
    with working(backend):
        until(lambda: client.get(location).status_code == 200)
    assert client.get(location).get_json()["error"]["code"] == "image_gone"
    open_web(max_backlog=1).post(OTHER, key="other", **LATER)
    assert code_of(open_web(max_backlog=1).post(large)) == "backlog_full"
    again = web.post(large, **LATER)
    assert not is_replayed(again) and again.headers["Location"] == location
    assert client.get(location).status_code == 202
    with working(backend):
        until(lambda: client.get(location).status_code == 200)
    assert client.get(location).get_json()["answer"] == "paul"


def test_one_sent_again_after_long_is_not_looked_at_again_where_it_was_answered_meanwhile(
    backend: Backend, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web_tier.idempotency.RESEND", 0.0)
    first, again = web.post(**LATER), web.post(**LATER)
    assert not is_replayed(again) and first.get_json() == again.get_json()
    assert backend.requests.depth().backlog == 2
    with working(backend) as done:
        until(lambda: backend.requests.depth().backlog == 0)
    assert done == [first.get_json()["id"]]


def test_an_answer_of_the_cache_is_replayed_too(backend: Backend, open_web: OpenWeb) -> None:
    web = open_web(cache_bytes=1_000_000)
    with working(backend) as done:
        web.post(key=None)
        hit, replayed, other = web.post(), web.post(), web.post(key="other")
    assert [one.headers.get("Cache-Status", "") != "" for one in (hit, replayed, other)] == [True, False, True]
    assert replayed.get_json() == hit.get_json() != other.get_json()
    assert is_replayed(replayed) and len(done) == 1


def test_a_request_without_a_key_touches_no_blob_and_one_with_a_key_two(backend: Backend, web: Web) -> None:
    with working(backend):
        web.post(key=None)
        assert web.blobs.calls == {}
        web.post()
        assert web.blobs.calls == {"get": 1, "put": 1}


def test_what_was_sent_under_a_key_is_forgotten_after_a_day_whatever_is_kept_longer(backend: Backend, web: Web) -> None:
    with working(backend):
        web.post()
    now = time.time()
    assert forget(backend.blobs, now - 60, sent_before=now - 60) == 0
    assert forget(backend.blobs, now - 60, sent_before=now + 60) == 1
    assert list(backend.blobs.list(keys.IDEMPOTENCY)) == [] and len(results(backend)) == 1

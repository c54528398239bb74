"""`kill -9` of everything, one after the other: nobody's answer is lost, doubled, or given to another."""

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from meanwhile import repeatedly
from services import Service, kill, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def a_worker_killed_every_second(service: Service) -> Iterator[list[int]]:
    """Meanwhile; yields the numbers of those killed."""
    killed, chance = [], random.Random(4)

    def kill_one() -> None:
        if workers := service.workers():
            victim = chance.choice(sorted(workers))
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    with repeatedly(kill_one, every=1.0):
        yield killed


def send(service: Service, image: bytes, i: int) -> requests.Response:
    name = f"test_{i:03}.jpg"
    return service.post("/v1/recognitions", files={"file": (name, image)})


def stored_results(service: Service) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in (service.folder / "data/blobs/results").glob("*.json")]


def test_workers_killed_every_second_cost_nobody_an_answer(start_service: Callable[..., Service], photos: Path) -> None:
    service = start_service(CACHE_BYTES="0", SCALE_IN_AFTER="5", VISIBILITY_TIMEOUT="3", WAIT_LIMIT="120")
    image = (photos / "obama2.jpg").read_bytes()
    with a_worker_killed_every_second(service) as killed, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda i: send(service, image, i), range(200)))
    assert [a.status_code for a in answers] == [200] * 200
    assert [a.json()["filename"] for a in answers] == [f"test_{i:03}.jpg" for i in range(200)]
    assert len(killed) > 3
    assert sorted(str(r["id"]) for r in stored_results(service)) == sorted(a.json()["id"] for a in answers)
    until(service.is_idle, say="nothing left in a queue, nobody left running")


def test_what_was_accepted_is_answered_after_the_web_tier_was_killed(
    start_service: Callable[..., Service], photos: Path
) -> None:
    service = start_service(CACHE_BYTES="0")
    image = (photos / "obama2.jpg").read_bytes()
    ask = {"Prefer": "respond-async", "Content-Type": "image/jpeg"}
    accepted = [service.post("/v1/recognitions", data=image, headers=ask) for _ in range(20)]
    assert {a.status_code for a in accepted} == {202}
    kill(service.processes[0])
    service.start("web_tier")
    service.await_ready()
    for answer in accepted:
        where = answer.headers["Location"]
        until(lambda where=where: service.get(where).status_code == 200, say=f"the answer at {where}")


def test_a_client_cut_off_by_a_killed_web_tier_leaves_nothing_behind(
    start_service: Callable[..., Service], photos: Path
) -> None:
    service = start_service(CACHE_BYTES="0", SCALE_IN_AFTER="1")
    image = (photos / "obama2.jpg").read_bytes()
    with ThreadPoolExecutor(10) as pool:
        sent = [pool.submit(send, service, image, i) for i in range(10)]
        until(lambda: service.backend.requests.depth().backlog > 0, say="uploads under way")
        kill(service.processes[0])
        cut_off = [s for s in sent if isinstance(s.exception(), requests.ConnectionError)]
    assert cut_off
    service.start("web_tier")
    service.await_ready()
    until(service.is_idle, say="queues empty")
    assert len(list((service.folder / "data/replies").glob("*/"))) == 1, "queues of dead web processes are removed"


def test_the_next_controller_goes_on_with_the_fleet_of_a_killed_one(
    start_service: Callable[..., Service], photos: Path
) -> None:
    service = start_service(CACHE_BYTES="0", MIN_INSTANCES="1", SCALE_IN_AFTER="1")
    before = until(service.workers, say="a worker")
    kill(service.processes[1])
    assert service.workers() == before, "workers outlive their controller"
    assert send(service, (photos / "obama2.jpg").read_bytes(), 0).status_code == 200
    service.settings["FACEFLEET_MIN_INSTANCES"] = "0"
    service.start("controller")
    until(lambda: not service.workers(), say="the next controller retires it")


def test_a_second_controller_refuses_and_says_why(start_service: Callable[..., Service]) -> None:
    service = start_service(CACHE_BYTES="0")
    second = service.start("controller")
    assert second.wait(timeout=30) != 0
    log = (service.folder / "controller.log").read_text()
    assert "a controller is running already" in log
    assert f"process {service.processes[1].pid}" in log


def test_a_poisonous_message_ends_as_a_dead_letter_and_its_client_is_told(
    start_service: Callable[..., Service], photos: Path
) -> None:
    """Poison: whoever takes it dies. Here the worker is killed each time that it has taken it."""
    service = start_service(
        CACHE_BYTES="0", VISIBILITY_TIMEOUT="0.5", MAX_RECEIVES="2", SCALE_IN_AFTER="1", MAX_INSTANCES="1"
    )
    poison = (photos / "obama2.jpg").read_bytes()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send, service, poison, 0)
        while not sent.done():
            if service.backend.requests.depth().in_flight:
                for worker in service.workers():
                    os.kill(worker, signal.SIGKILL)
        answer = sent.result()
    assert answer.status_code == 422
    assert answer.json()["code"] == "gave_up"
    until(lambda: service.fleet()["queue"] == {"visible": 0, "in_flight": 0, "dead": 1}, say="one dead letter")


def test_a_message_that_is_not_ours_ends_as_a_dead_letter_and_harms_nobody(
    start_service: Callable[..., Service], photos: Path
) -> None:
    service = start_service(CACHE_BYTES="0", MAX_RECEIVES="2")
    service.backend.requests.send("{not ours")
    assert send(service, (photos / "obama2.jpg").read_bytes(), 0).status_code == 200
    until(lambda: service.fleet()["queue"] == {"visible": 0, "in_flight": 0, "dead": 1}, say="one dead letter")


def test_a_worker_asked_to_go_finishes_the_image_in_hand(start_service: Callable[..., Service], photos: Path) -> None:
    service = start_service(CACHE_BYTES="0", MAX_INSTANCES="1", VISIBILITY_TIMEOUT="60", WAIT_LIMIT="50")
    image = (photos / "obama2.jpg").read_bytes()
    with ThreadPoolExecutor(6) as pool:
        sent = [pool.submit(send, service, image, i) for i in range(6)]
        until(lambda: service.backend.requests.depth().in_flight, say="an image in hand")
        for worker in service.workers():
            os.kill(worker, signal.SIGTERM)
        # A minute's lease: a message dropped instead of finished or released would outlast the clients' patience.
        assert [s.result().status_code for s in sent] == [200] * 6

"""One tick and the chores beside it, on a real queue, real blobs, and real processes that do nothing."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller import wiring
from controller.classic import CLASSIC
from controller.housekeeping import answer_dead_letters, forget
from controller.leading import forget_old
from controller.ledger import Ledger
from controller.policy import Terms
from controller.reconcile import Controller
from controller.status import REPEAT_AT_REST, Board
from controller.steps import Limits
from controller.workers import FORGOTTEN_AFTER, forget_silent, heartbeats
from facefleet import keys, wire
from facefleet.backends import connect
from facefleet.backends.embedded.fleet import ProcessFleet
from facefleet.errors import Unavailable
from facefleet.model import Depth, Heartbeat, InstanceState, Job, JobKind, WorkerState
from facefleet.ports import Backend, Queue
from facefleet.settings import POLICIES, Settings

IDLE = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); signal.pause()"


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return connect(Settings(data=tmp_path, max_receives=1, visibility_timeout=0.05))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ProcessFleet]:
    fleet = ProcessFleet(tmp_path / "idle", [sys.executable, "-c", IDLE], name="idle", env={})
    yield fleet
    deadline = time.monotonic() + 20
    while left := fleet.instances():
        assert time.monotonic() < deadline
        fleet.end([instance.id for instance in left])


@pytest.fixture
def controller(backend: Backend, fleet: ProcessFleet) -> Controller:
    return Controller(
        backend.requests.depth,
        fleet,
        lambda: heartbeats(backend.blobs),
        unsaved,
        Board(backend.blobs, epoch=3, leader="host").tell,
        CLASSIC,
        Terms(0, 2, hold=5.0),
        Limits(),
    )


def unsaved(ledger: Ledger) -> None:
    """What becomes of it, others test."""


def shown(backend: Backend) -> dict[str, object]:
    return dict(json.loads(backend.blobs.get(keys.FLEET_STATUS)))


def a_job(id: str, reply_to: str | None = None) -> str:
    return wire.dump_job(Job(id, JobKind.RECOGNISE, f"{id}.jpg", time.time(), image=b"x", reply_to=reply_to))


def test_a_backlog_brings_instances_up_to_the_most_and_they_go_after_the_hold(
    controller: Controller, backend: Backend
) -> None:
    now = time.time()
    for i in range(5):
        backend.requests.send(a_job(f"j{i}"))
    assert controller.tick(now).launch == 2
    assert controller.tick(now + 1).launch == 0, "those on their way up count"
    backend.requests.purge()
    assert controller.tick(now + 4).retire == ()
    assert len(controller.tick(now + 7).retire) == 2
    assert shown(backend)["desired"] == 0


def test_an_instance_counts_as_running_once_its_worker_was_heard_of(
    controller: Controller, backend: Backend, fleet: ProcessFleet
) -> None:
    backend.requests.send(a_job("j"))
    now = time.time()
    controller.tick(now)
    while (instance := fleet.instances()[0]).state is InstanceState.PENDING:
        assert time.time() - instance.since < 20
    controller.tick(now + 1)
    assert shown(backend)["instances"] == dict.fromkeys(InstanceState, 0) | {"pending": 1}
    beat = Heartbeat(instance.id, WorkerState.IDLE, 0, now + 1, now + 1)
    backend.blobs.put(keys.heartbeat(instance.id), wire.dump_heartbeat(beat))
    controller.tick(now + 2)
    assert shown(backend)["instances"] == dict.fromkeys(InstanceState, 0) | {"running": 1}


def test_what_is_told_is_written_when_it_is_news_and_now_and_again(controller: Controller, backend: Backend) -> None:
    for now, written_at in ((100.0, 100.0), (101.0, 100.0), (100.0 + REPEAT_AT_REST, 100.0 + REPEAT_AT_REST)):
        controller.tick(now)
        assert shown(backend)["at"] == written_at
    told = shown(backend)
    assert (told["policy"], told["epoch"], told["oldest"], told["max"]) == ("classic", 3, None, 2)
    assert (told["leader"], told["stale"]) == ("host", 0)


def test_the_heartbeat_of_a_killed_worker_is_removed(backend: Backend) -> None:
    beat = Heartbeat("gone", WorkerState.BUSY, 3, 0.0, at=50.0)
    backend.blobs.put(keys.heartbeat("gone"), wire.dump_heartbeat(beat))
    forget_silent(backend.blobs, 50.0 + FORGOTTEN_AFTER)
    assert heartbeats(backend.blobs) == (beat,)
    forget_silent(backend.blobs, 51.0 + FORGOTTEN_AFTER)
    assert list(backend.blobs.list(keys.WORKERS)) == []


def test_the_client_of_a_dead_letter_is_told_once_and_the_letter_stays(backend: Backend) -> None:
    with backend.open_replies() as replies:
        backend.requests.send(a_job("poison", replies.name))
        assert backend.requests.receive(), "a worker takes it, and dies"
        assert backend.requests.receive(wait=0.3) == []
        assert answer_dead_letters(backend.dead, backend.blobs, backend.replies) == 1
        assert answer_dead_letters(backend.dead, backend.blobs, backend.replies) == 0
        (message,) = replies.receive(limit=10)
    result = wire.load_reply(message.body)
    assert (result["status"], result["error"]["code"]) == ("failed", "gave_up")
    assert json.loads(backend.blobs.get(keys.result("poison"))) == result
    assert backend.dead.depth() == Depth(0, 1)


def test_a_dead_letter_whose_client_cannot_be_told_comes_again_soon(tmp_path: Path) -> None:
    backend = connect(Settings(data=tmp_path, max_receives=1, visibility_timeout=0.05))
    with backend.open_replies() as replies:
        for id in ("first", "second"):
            backend.requests.send(a_job(id, replies.name))
            assert backend.requests.receive()
            assert backend.requests.receive(wait=0.3) == []
        with pytest.raises(Unavailable):
            answer_dead_letters(backend.dead, backend.blobs, out_of_order)
        assert answer_dead_letters(backend.dead, backend.blobs, backend.replies) == 1
        (told,) = replies.receive(limit=10)
    assert wire.load_reply(told.body)["id"] == "second"


def out_of_order(name: str) -> Queue:
    raise Unavailable(f"{name} cannot be reached")


def test_garbage_under_workers_costs_no_tick(controller: Controller, backend: Backend) -> None:
    for name, rubbish in (("a", b"{}"), ("b", b"\xff"), ("c", b"[1]")):
        backend.blobs.put(keys.heartbeat(name), rubbish)
    assert controller.tick(100.0).desired == 0


def test_images_and_answers_are_forgotten_and_people_stay(backend: Backend) -> None:
    for key in ("in/a.jpg", "out/a", "results/1.json", "queued/1", "photos/paul/1", "state/fleet"):
        backend.blobs.put(key, b"x")
    assert forget(backend.blobs, before=time.time() - 60) == 0
    assert forget(backend.blobs, before=time.time() + 60) == 4
    assert [b.key for b in backend.blobs.list("photos/")] == ["photos/paul/1"]


def test_what_was_sent_under_a_key_is_forgotten_sooner_where_that_is_asked_for(backend: Backend) -> None:
    for key in ("results/1.json", "idempotency/1", "idempotency/2"):
        backend.blobs.put(key, b"x")
    now = time.time()
    assert forget(backend.blobs, before=now - 60, sent_before=now - 30) == 0
    assert forget(backend.blobs, before=now - 60, sent_before=now + 60) == 2
    assert [b.key for b in backend.blobs.list("results/")] == ["results/1.json"]
    backend.blobs.put("idempotency/1", b"x")
    assert forget(backend.blobs, before=now + 60, sent_before=now - 60) == 2


def test_it_is_forgotten_a_day_after_it_was_sent_and_all_else_when_the_settings_say(backend: Backend) -> None:
    for key in ("results/1.json", "idempotency/1"):
        backend.blobs.put(key, b"x")
    hour, now = 3600.0, time.time()
    for later, left in ((23 * hour, 2), (25 * hour, 1), (47 * hour, 1), (49 * hour, 0)):
        forget_old(backend.blobs, now + later, keep=48 * hour)
        assert len([*backend.blobs.list("results/"), *backend.blobs.list("idempotency/")]) == left


def test_an_answered_image_leaves_no_trace_in_the_queue_for_long(backend: Backend, tmp_path: Path) -> None:
    image = bytes(range(256)) * 400
    backend.requests.send(wire.dump_job(Job("j", JobKind.RECOGNISE, "j.jpg", 0.0, image=image)))
    (message,) = backend.requests.receive()
    backend.requests.ack(message)
    backend.tidy()
    everything = b"".join(path.read_bytes() for path in (tmp_path / "queues").iterdir() if path.is_file())
    assert wire.dump_job(Job("j", JobKind.RECOGNISE, "j.jpg", 0.0, image=image)).encode()[-4000:-2000] not in everything


def test_the_settings_name_the_policies_that_there_are() -> None:
    assert tuple(wiring.POLICIES) == POLICIES

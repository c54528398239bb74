"""Each tier's real code at its normal work, under its own policy, with IAM enforced by the server."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from controller.housekeeping import answer_dead_letters, forget
from controller.ledger import Ledger
from controller.store import Store
from controller.workers import forget_silent, heartbeats
from facefleet import answers, keys, wire
from facefleet.backends import connect
from facefleet.backends.aws.account.probes import is_denial, outcome, probes
from facefleet.backends.aws.account.resources import Verb, apply, plan, removal
from facefleet.backends.aws.clients import connect_clients
from facefleet.model import Box, Face, Heartbeat, Job, JobKind, Person, Photo, Result, WorkerState
from facefleet.people import update
from facefleet.ports import Backend
from web_tier.erasure import erase_everybody, erase_person, purge

from .iam import Place


@pytest.fixture
def as_tier(guarded: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Backend]:
    """`as_tier("worker")`: the backend as that tier opens it, with its own credentials."""

    def open_it(tier: str) -> Backend:
        for name, value in guarded.env(tier).items():
            monkeypatch.setenv(name, value)
        return connect(guarded.settings)

    return open_it


PHOTO = Photo("1", Box(0, 0, 9, 9), bytes(512))


def a_job(**changes: Any) -> Job:
    return replace(Job("job-1", JobKind.RECOGNISE, "a.jpg", time.time(), image=b"jpeg"), **changes)


def test_an_operator_sets_up_and_sees_that_all_is_fine_and_removes_it(guarded: Place) -> None:
    clients = connect_clients()
    guarded.client("root", "s3").put_object(Bucket=guarded.settings.state_bucket, Key="photos/paul/1")
    name, alive = f"{guarded.settings.response_queue}-host-1-0123abcd", {"facefleet:alive-at": "1"}
    guarded.client("root", "sqs").create_queue(QueueName=name, tags=alive)
    assert {step.verb for step in plan(clients, guarded.settings)} == {Verb.FINE}
    apply(removal(clients, guarded.settings, people=True))
    assert {step.verb for step in plan(clients, guarded.settings)} == {Verb.MAKE}


def test_a_job_goes_its_way_with_each_tier_under_its_own_policy(as_tier: Callable[[str], Backend]) -> None:
    web, worker = as_tier("web"), as_tier("worker")
    with web.open_replies() as replies:
        job = a_job(reply_to=replies.name)
        answers.promise(web.blobs, job.id)
        web.requests.send(wire.dump_job(job))
        (message,) = worker.requests.receive(wait=20.0)
        assert worker.requests.extend(message, seconds=30.0)
        worker.blobs.put(keys.heartbeat("i-1"), wire.dump_heartbeat(a_heartbeat()))
        result = answers.store(worker.blobs, job, Result(job.id, job.filename, (a_face(),)), job.image)
        answers.reply(worker.replies, job, result)
        assert worker.requests.ack(message)
        (reply,) = replies.receive(wait=20.0)
        assert replies.ack(reply)
    assert (answers.stored(web.blobs, job.id) or {})["answer"] == "paul"
    assert web.blobs.get(keys.answer(job.filename)) == b"paul"
    worker.blobs.delete(keys.heartbeat("i-1"))


def a_face() -> Face:
    return Face(Box(0, 0, 9, 9), 0.5, "paul", "Paul", 0.1, 0.9)


def a_heartbeat() -> Heartbeat:
    return Heartbeat("i-1", WorkerState.IDLE, 0, time.time(), time.time())


def test_a_large_image_waits_in_a_blob_that_the_worker_removes(as_tier: Callable[[str], Backend]) -> None:
    web, worker = as_tier("web"), as_tier("worker")
    web.blobs.put(keys.claim("job-2"), b"large")
    assert answers.found(worker.blobs, keys.claim("job-2")) == b"large"
    assert worker.blobs.delete(keys.claim("job-2"))
    assert answers.found(worker.blobs, keys.claim("job-2")) is None, "not there is told from not allowed"


def test_a_client_without_any_key_puts_a_file_where_the_web_tier_lets_it_and_the_worker_reads_it(
    as_tier: Callable[[str], Backend],
) -> None:
    key, web = keys.upload("1", "a.mp4"), as_tier("web")
    assert web.presign is not None
    presigned = web.presign(key, size=4, type="video/mp4", seconds=60.0)
    sent = requests.put(presigned.url, data=b"clip", headers=dict(presigned.headers), timeout=30)
    assert sent.status_code == 200, sent.text
    assert [info.key for info in web.blobs.list(keys.uploads("1"))] == [key]
    worker = as_tier("worker")
    assert worker.blobs.get(key) == b"clip" and worker.blobs.delete(key)


def test_somebody_is_enrolled_by_web_tier_and_worker_and_erased_by_the_web_tier(
    as_tier: Callable[[str], Backend], tmp_path: Path
) -> None:
    web, worker = as_tier("web"), as_tier("worker")
    web.people.put(Person("paul", "Paul"))
    worker.blobs.put(keys.photo("paul", PHOTO.id), b"photo")
    update(worker.people, "paul", lambda person: replace(person, photos=(PHOTO,)))
    assert worker.people.changes(0).people[0].photos == (PHOTO,)
    assert worker.people.list()[0].id == "paul"
    worker.blobs.put_file(keys.SNAPSHOT, lambda path: path.write_bytes(bytes(9_000_000)))
    assert worker.blobs.local(keys.SNAPSHOT).stat().st_size == 9_000_000
    erased = erase_person(web.people, web.blobs, web.requests, "paul")
    assert erased is not None and erased["photos"] == erased["encodings"] == 1
    assert answers.found(worker.blobs, keys.SNAPSHOT) is None


def test_the_web_tier_proves_itself_ready_and_purges(as_tier: Callable[[str], Backend]) -> None:
    web = as_tier("web")
    assert answers.found(web.blobs, keys.FLEET_STATUS) is None
    web.blobs.put(f"{keys.STATE}ready-1", b"ready?")
    assert web.blobs.delete(f"{keys.STATE}ready-1")
    answers.store(web.blobs, a_job(), Result("job-1", "a.jpg"), b"jpeg")
    assert purge(web.requests, web.dead, web.blobs)["blobs"] >= 3
    erase_everybody(web.people, web.blobs)
    assert web.people.list() == ()


def test_the_controller_leads_answers_for_dead_letters_forgets_and_tidies(
    as_tier: Callable[[str], Backend], guarded: Place
) -> None:
    web, controller = as_tier("web"), as_tier("controller")
    store = Store(controller.blobs, "here", time.time)
    assert store.take() is not None
    store.save(Ledger())
    store.leave(Ledger())
    controller.blobs.put(keys.FLEET_STATUS, b"{}")
    assert controller.requests.depth().backlog >= 0
    dead = f"{guarded.settings.request_queue}-dead"
    root = guarded.client("root", "sqs")
    with web.open_replies() as replies:
        job = a_job(id="job-3", reply_to=replies.name)
        root.send_message(QueueUrl=root.get_queue_url(QueueName=dead)["QueueUrl"], MessageBody=wire.dump_job(job))
        assert answer_dead_letters(controller.dead, controller.blobs, controller.replies) == 1
        assert len(replies.receive(wait=20.0)) == 1
    as_tier("worker").blobs.put(keys.heartbeat("i-2"), wire.dump_heartbeat(replace(a_heartbeat(), id="i-2", at=0.0)))
    assert len(heartbeats(controller.blobs)) == 1
    forget_silent(controller.blobs, time.time())
    assert heartbeats(controller.blobs) == ()
    assert forget(controller.blobs, time.time() + 3600.0) > 0
    controller.tidy()


@pytest.mark.parametrize("tier", ["web", "worker", "controller"])
def test_a_check_up_finds_each_tier_allowed_what_it_needs_and_another_tier_not(
    as_tier: Callable[[str], Backend], guarded: Place, tier: str
) -> None:
    as_tier(tier)
    # What EC2 allows is judged elsewhere.
    asked = [probe for probe in probes(connect_clients(), guarded.settings) if probe.service != "ec2"]
    denied = [probe for probe in asked if is_denial(outcome(probe))]
    assert [probe.what for probe in denied if probe.tier == tier] == []
    assert {probe.tier for probe in denied} == {"web", "worker", "controller"} - {tier}


def test_a_check_up_names_the_right_that_workers_need_for_a_relay(
    as_tier: Callable[[str], Backend], guarded: Place
) -> None:
    as_tier("worker")
    asked = probes(connect_clients(), replace(guarded.settings, relay_by="fleet"))
    denied = [one.what for one in asked if one.tier == "worker" and is_denial(outcome(one))]
    assert denied == ["read what came for a relay (worker-relay.json)"]

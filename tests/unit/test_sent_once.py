"""A request that comes again under its key: what becomes of it, and that it is one job with one answer."""

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet import answers, keys
from facefleet.backends import connect
from facefleet.idempotencykey import key_of
from facefleet.model import Failure, Job, JobKind, Result
from facefleet.ports import Backend
from facefleet.problems import Problem
from facefleet.settings import Settings
from facefleet.wire import Json
from web_tier.idempotency import RESEND, TURN, Asked, Once, Sent, Step, asked_under, decide

PATIENCE = 20.0
NOW = 1_000_000.0
DONE: Json = {"error": None}
FAILED: Json = {"error": {"code": "damaged_image", "detail": "damaged"}}
GONE: Json = {"error": {"code": "image_gone", "detail": "send it again"}}


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (None, None),
        ("a", "a"),
        ('"a"', "a"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (r'"a\"b\\c"', r'a"b\c'),
        ("a,b;c=d", "a,b;c=d"),
        ("x" * 255, "x" * 255),
        (f'"{"x" * 255}"', "x" * 255),
    ],
)
def test_a_key_is_taken_bare_or_as_a_quoted_string(header: str | None, key: str | None) -> None:
    assert key_of(header) == key


@pytest.mark.parametrize(
    "header",
    ["", '""', "a b", '"a b"', "é", "a\x7f", '"a', '"a\\"', '"a"b"', r'"a\b"', '"a";p=1', '"a","b"', "x" * 256],
)
def test_what_is_no_key_is_a_problem_400(header: str) -> None:
    with pytest.raises(Problem) as told:
        key_of(header)
    assert (told.value.status, told.value.code) == (400, "bad_idempotency_key")


VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)


@given(VISIBLE)
def test_every_key_that_can_be_quoted_is_the_same_quoted(key: str) -> None:
    assert key_of('"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"') == key


# One job for one request


def a_job(filename: str = "a.jpg", *, top_k: int = 0, at: float = 100.0) -> Job:
    return Job("0" * 32, JobKind.RECOGNISE, filename, submitted_at=at, top_k=top_k)


def asked(
    caller: bytes = b"caller", key: str = "key", filename: str = "a.jpg", top_k: int = 0, digest: bytes = b"image"
) -> Asked:
    return asked_under(caller, key, a_job(filename, top_k=top_k), digest)


def test_the_same_request_is_the_same_job_at_any_time_and_its_id_is_one() -> None:
    later = asked_under(b"caller", "key", replace(a_job(at=200.0), id="1" * 32), b"image")
    assert later == asked()
    assert len(later.job_id) == 32 and set(later.job_id) <= set("0123456789abcdef")


@pytest.mark.parametrize("other", [{"filename": "b.jpg"}, {"top_k": 1}, {"digest": b"other"}], ids=str)
def test_another_request_under_the_key_is_another_job_of_the_same_name(other: dict[str, object]) -> None:
    assert asked(**other).name == asked().name
    assert asked(**other).fingerprint != asked().fingerprint
    assert asked(**other).job_id != asked().job_id


@pytest.mark.parametrize("other", [{"caller": b"other"}, {"key": "other"}], ids=str)
def test_another_key_or_caller_shares_nothing(other: dict[str, object]) -> None:
    assert asked(**other).name != asked().name
    assert asked(**other).job_id != asked().job_id


@given(st.tuples(st.binary(), VISIBLE, st.text(max_size=9)), st.tuples(st.binary(), VISIBLE, st.text(max_size=9)))
def test_no_two_requests_are_alike_however_they_are_cut(
    one: tuple[bytes, str, str], other: tuple[bytes, str, str]
) -> None:
    first, second = (asked_under(c, k, a_job(f), b"") for c, k, f in (one, other))
    assert (first.job_id == second.job_id) == (one == other)


# What to do


@pytest.mark.parametrize(
    ("age", "result", "marks", "step"),
    [
        (0, None, "", Step.WAIT),
        (RESEND - 1, None, "", Step.WAIT),
        (RESEND, None, "", Step.SEND_AGAIN),
        (keys.IDEMPOTENCY_KEPT - 1, None, "", Step.SEND_AGAIN),
        (keys.IDEMPOTENCY_KEPT, None, "", Step.SEND),
        (0, DONE, "", Step.REPLAY),
        (RESEND, DONE, "", Step.REPLAY),
        (keys.IDEMPOTENCY_KEPT - 1, DONE, "", Step.REPLAY),
        (keys.IDEMPOTENCY_KEPT, DONE, "", Step.SEND),
        (9, FAILED, "", Step.REPLAY),
        (9, GONE, "", Step.SEND),
        (9, None, "purged", Step.SEND),
        (9, DONE, "purged", Step.SEND),
        (9, None, "erased", Step.SEND_AGAIN),
        (9, DONE, "erased", Step.REPLAY),
        (9, None, "purged erased", Step.SEND),
        (-9, None, "", Step.WAIT),
        (-RESEND, None, "", Step.SEND_AGAIN),
        (-keys.IDEMPOTENCY_KEPT, None, "", Step.SEND),
        (0, None, "other", Step.REFUSE),
        (keys.IDEMPOTENCY_KEPT - 1, None, "other", Step.REFUSE),
        (keys.IDEMPOTENCY_KEPT, None, "other", Step.SEND),
        (9, None, "other purged", Step.SEND),
        (9, None, "other erased", Step.REFUSE),
    ],
)
def test_what_becomes_of_a_request_under_a_key_that_was_used(
    age: float, result: Json | None, marks: str, step: Step
) -> None:
    """`marks`: what else is true: that it stood for another request, and what was removed since."""
    sent = Sent("other" if "other" in marks else "same", NOW - age)
    assert decide(sent, "same", result, purged="purged" in marks, erased="erased" in marks, now=NOW) is step


def test_what_was_never_sent_is_sent() -> None:
    assert decide(None, "this", None, purged=False, erased=False, now=NOW) is Step.SEND


# What is noted


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return connect(Settings(data=tmp_path))


@pytest.fixture
def once(backend: Backend) -> Once:
    return Once(backend.blobs)


def test_what_is_noted_is_a_digest_and_a_time(backend: Backend, once: Once) -> None:
    once.note(request := asked(key="my-key", filename="paul.jpg"), 100.0)
    (info,) = backend.blobs.list(keys.IDEMPOTENCY)
    note = backend.blobs.get(info.key)
    assert json.loads(note) == {"fingerprint": request.fingerprint, "at": 100.0}
    assert b"paul" not in note and "my-key" not in info.key


def test_a_request_is_sent_then_waited_for_then_replayed(backend: Backend, once: Once) -> None:
    request, now = asked(), time.time()
    assert once.look(request, now) == (Step.SEND, None)
    once.note(request, now)
    assert once.look(request, now + 1) == (Step.WAIT, None)
    stored = answers.store(backend.blobs, replace(a_job(), id=request.job_id), Result(request.job_id, "a.jpg"))
    assert once.look(request, now + 2) == (Step.REPLAY, stored)


def test_a_failed_one_is_replayed_as_failed(backend: Backend, once: Once) -> None:
    once.note(request := asked(), NOW)
    failed = Result(request.job_id, "a.jpg", error=Failure("damaged_image", "damaged"))
    answers.store(backend.blobs, replace(a_job(), id=request.job_id), failed)
    step, result = once.look(request, NOW)
    assert step is Step.REPLAY and result is not None and result["error"]["code"] == "damaged_image"


def test_another_request_under_the_key_is_a_problem_422_that_says_what_to_do(once: Once) -> None:
    once.note(asked(), NOW)
    with pytest.raises(Problem) as told:
        once.look(asked(digest=b"other"), NOW)
    assert (told.value.status, told.value.code) == (422, "idempotency_key_reused")
    assert "choose a new one" in told.value.detail
    assert once.look(asked(digest=b"other", caller=b"other"), NOW) == (Step.SEND, None)


@pytest.mark.parametrize("note", [b"", b"rubbish", b"[]", b"{}", b'{"fingerprint": "a", "at": "x"}', b"\xff"])
def test_a_note_that_is_not_ours_is_none(backend: Backend, once: Once, note: bytes) -> None:
    backend.blobs.put(keys.sent(asked().name), note)
    assert once.look(asked(), NOW) == (Step.SEND, None)


def test_a_purge_or_an_erasure_since_is_seen_at_the_next_look(backend: Backend, once: Once) -> None:
    once.note(asked(), NOW)
    answers.mark_erased(backend.blobs, NOW + 1)
    assert once.look(asked(), NOW + 2) == (Step.SEND_AGAIN, None)
    once.note(asked(), NOW + 2)
    assert once.look(asked(), NOW + 3) == (Step.WAIT, None)
    answers.mark_purged(backend.blobs, NOW + 4)
    assert once.look(asked(), NOW + 5) == (Step.SEND, None)


def test_a_note_that_cannot_be_written_stops_nothing_and_is_logged(
    once: Once, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(tmp_path / "blobs")
    once.note(asked(), NOW)
    assert asked().job_id in caplog.text and "cannot be written" in caplog.text


# One at a time


def test_requests_under_one_key_take_turns_and_under_others_do_not(once: Once) -> None:
    inside, most, lock, others = 0, 0, threading.Lock(), threading.Event()

    def take_turn(number: int) -> None:
        nonlocal inside, most
        with once.turn(asked()):
            with lock:
                inside += 1
                most = max(most, inside)
            assert others.wait(PATIENCE)
            with lock:
                inside -= 1

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        taken = [pool.submit(take_turn, number) for number in range(8)]
        with once.turn(asked(key="other")):
            others.set()
        for one in taken:
            one.result(PATIENCE)
    assert most == 1 and time.monotonic() - began < TURN / 2


def test_a_turn_that_never_ends_holds_nobody_up_for_long(once: Once, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web_tier.idempotency.TURN", 0.05)
    with once.turn(asked()), once.turn(asked()):
        pass
    with once.turn(asked()):
        pass

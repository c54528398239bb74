"""The same image again: answered in the worker's place only while the worker would say the same."""

import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from facefleet import answers, keys
from facefleet.backends import connect
from facefleet.errors import Unavailable
from facefleet.model import Box, Face, Failure, Job, JobKind, Person, Rejection, Result, Timings
from facefleet.ports import Backend
from facefleet.settings import Settings
from facefleet.wire import Json
from web_tier.cache import ENTRY_BYTES, Cache
from web_tier.erasure import erase_person, purge
from web_tier.probe import Probe

ENCODING = b"\1" * 512
FACE = Face(Box(0, 0, 9, 9), 0.5, person_id="paul", name="Paul", encoding=ENCODING)


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    backend = connect(Settings(data=tmp_path))
    backend.people.put(Person("paul", "Paul"))
    return backend


@pytest.fixture
def cache(backend: Backend) -> Cache:
    return Cache(backend.people.version, backend.blobs, max_bytes=1_000_000)


def a_job(filename: str = "a.jpg", *, top_k: int = 0) -> Job:
    return Job(uuid4().hex, JobKind.RECOGNISE, filename, time.time(), top_k=top_k)


def work(backend: Backend, job: Job, probe: Probe) -> None:
    """What a worker does with the job."""
    backend.blobs.put(keys.input_image(job.filename), probe.image)
    version = backend.people.version()
    result = Result(job.id, job.filename, (FACE,), gallery_version=version, timings=Timings(1.0, 2.0, 3.0))
    answers.store(backend.blobs, job, result)


@pytest.fixture
def ask(backend: Backend, cache: Cache) -> Callable[..., Json | None]:
    """The answer if it comes from the cache; else None, and a worker has done the job."""

    def ask(image: bytes = b"image", filename: str = "a.jpg", *, top_k: int = 0, of: Cache = cache) -> Json | None:
        probe, job = Probe(filename, image), a_job(filename, top_k=top_k)
        if (known := of.recall(job, probe)) is not None:
            return known
        work(backend, job, probe)
        of.answered(job, probe, backend.people.version())
        return None

    return ask


Ask = Callable[..., Json | None]


def lies_there(backend: Backend) -> dict[str, bytes]:
    return {info.key: backend.blobs.get(info.key) for area in keys.FORGOTTEN for info in backend.blobs.list(area)}


def test_the_same_image_is_answered_again_with_an_id_a_name_and_times_of_its_own(backend: Backend, ask: Ask) -> None:
    assert ask(filename="a.jpg") is None
    again = ask(filename="b.jpg")
    assert again is not None
    assert (again["filename"], again["answer"], again["gallery_version"]) == ("b.jpg", "paul", 1)
    assert again["timings"]["queued"] == again["timings"]["recognise"] == 0 <= again["timings"]["total"] < 1
    left = lies_there(backend)
    assert (left["in/b.jpg"], left["out/b"], left["out/a"]) == (b"image", b"paul", b"paul")
    assert answers.stored(backend.blobs, again["id"]) == again
    assert len(left) == 6, "image, answer and result of each"


def test_an_answer_given_again_can_be_rejected_as_the_first_can(backend: Backend, ask: Ask) -> None:
    ask()
    for again in (ask(), ask()):
        assert again is not None and "encoding" not in str(again)
        whole = answers.stored_whole(backend.blobs, again["id"])
        assert whole is not None and answers.encoding_of(whole, 0) == ENCODING


def test_another_image_or_number_of_candidates_is_another_question(ask: Ask) -> None:
    ask()
    assert ask(b"other") is None
    assert ask(top_k=3) is None
    assert ask() is not None and ask(top_k=3) is not None


def enrol(backend: Backend) -> None:
    backend.people.put(Person("mary", "Mary"))


def reject(backend: Backend) -> None:
    backend.people.put(replace(backend.people.get("paul"), rejections=(Rejection("1-0", ENCODING),)))


def erase(backend: Backend) -> None:
    erase_person(backend.people, backend.blobs, backend.requests, "paul")


def purge_all(backend: Backend) -> None:
    purge(backend.requests, backend.dead, backend.blobs)


@pytest.mark.parametrize("change", [enrol, reject, erase, purge_all])
def test_after_any_change_of_the_gallery_or_a_purge_a_worker_is_asked(
    change: Callable[[Backend], None], backend: Backend, ask: Ask
) -> None:
    ask()
    change(backend)
    assert ask() is None
    assert ask() is not None


@pytest.mark.parametrize("change", [enrol, reject, erase, purge_all])
def test_a_change_while_the_answer_is_written_leaves_nothing_of_it(
    change: Callable[[Backend], None], backend: Backend, ask: Ask
) -> None:
    ask()
    calls = 0

    def version() -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            change(backend)
        return backend.people.version()

    late = Cache(version, backend.blobs, max_bytes=1_000_000)
    # A first look, by which the cache learns the version.
    late.recall(a_job(), Probe("x.jpg", b"other"))
    calls = 0
    (stored,) = (i.key.removeprefix(keys.RESULTS).removesuffix(".json") for i in backend.blobs.list(keys.RESULTS))
    first = replace(a_job(), id=stored)
    late.answered(first, Probe("a.jpg", b"image"), backend.people.version())
    assert late.recall(a_job("late.jpg"), Probe("late.jpg", b"image")) is None
    assert calls == 2
    assert not [key for key in lies_there(backend) if "late" in key]
    assert len(list(backend.blobs.list(keys.RESULTS))) <= 1


def test_what_is_known_of_an_older_gallery_is_dropped_at_the_first_look(
    cache: Cache, ask: Ask, backend: Backend
) -> None:
    for image in (b"1", b"2", b"3"):
        ask(image)
    assert len(cache) == 3
    enrol(backend)
    ask(b"4")
    assert len(cache) == 1


def test_an_answer_purged_by_another_process_is_not_given_though_its_result_still_lies_there(
    backend: Backend, ask: Ask
) -> None:
    ask()
    answers.mark_purged(backend.blobs, time.time())
    assert ask(filename="b.jpg") is None
    assert ask(filename="b.jpg") is not None


def test_an_answer_that_was_forgotten_is_not_given(backend: Backend, ask: Ask) -> None:
    ask()
    for info in list(backend.blobs.list(keys.RESULTS)):
        backend.blobs.delete(info.key)
    assert ask() is None


def test_a_failed_job_is_no_answer(backend: Backend, cache: Cache) -> None:
    job, probe = a_job(), Probe("a.jpg", b"image")
    failed = Result(job.id, job.filename, error=Failure("damaged_image", "send another"), gallery_version=1)
    answers.store(backend.blobs, job, failed)
    cache.answered(job, probe, backend.people.version())
    assert cache.recall(a_job(), probe) is None
    assert len(cache) == 0


def test_a_job_that_was_promised_answers_once_it_is_done(backend: Backend, cache: Cache) -> None:
    probe, first, second = Probe("a.jpg", b"image"), a_job(), a_job()
    cache.recall(first, probe)
    for job in (first, second):
        answers.promise(backend.blobs, job.id)
        cache.asked(job, probe)
        assert cache.recall(a_job(), probe) is None
    work(backend, first, probe)
    assert cache.recall(a_job(), probe) is not None, "the first, which a later one did not displace"


def test_a_part_that_does_not_answer_leaves_it_to_the_worker(backend: Backend, ask: Ask) -> None:
    def silent() -> int:
        raise Unavailable("nobody there")

    assert [ask(of=Cache(silent, backend.blobs, max_bytes=1_000_000)) for _ in range(2)] == [None, None]


@pytest.mark.parametrize("max_bytes", [0, ENTRY_BYTES - 1])
def test_without_room_nothing_is_kept(max_bytes: int, backend: Backend, ask: Ask) -> None:
    cache = Cache(backend.people.version, backend.blobs, max_bytes=max_bytes)
    assert [ask(of=cache) for _ in range(2)] == [None, None]
    assert len(cache) == 0


def test_the_least_recently_used_goes_first(backend: Backend, ask: Ask) -> None:
    cache = Cache(backend.people.version, backend.blobs, max_bytes=2 * ENTRY_BYTES)
    ask(b"1", of=cache)
    ask(b"2", of=cache)
    assert ask(b"1", of=cache) is not None
    ask(b"3", of=cache)
    assert ask(b"1", of=cache) is not None and ask(b"2", of=cache) is None
    assert len(cache) == 2


def test_it_takes_no_more_memory_than_it_may(backend: Backend) -> None:
    max_bytes = 2_000_000
    tracemalloc.start()
    try:
        cache = Cache(backend.people.version, backend.blobs, max_bytes=max_bytes)
        for number in range(2 * max_bytes // ENTRY_BYTES):
            cache.answered(a_job(top_k=number), Probe("a.jpg", b"%d" % number), 1)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(cache) == max_bytes // ENTRY_BYTES
    assert max_bytes / 4 < taken < max_bytes


def test_one_image_under_many_names_at_once_gets_each_its_own(backend: Backend, ask: Ask) -> None:
    names = [f"{number}.jpg" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(lambda name: ask(filename=name), names))
        again = list(pool.map(lambda name: ask(filename=name), names))
    assert [r["filename"] for r in again if r] == names
    assert len({r["id"] for r in [*first, *again] if r}) == len([r for r in [*first, *again] if r])
    assert {key for key in lies_there(backend) if key.startswith(keys.OUTPUT)} == {f"out/{n}" for n in range(40)}

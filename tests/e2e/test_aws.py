"""The whole service on AWS's protocols: from zero instances to nineteen and back, and whatever goes wrong meanwhile."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.local import awaited
from bench.on_aws import UP, OnAws, service_on_aws
from bench.storm import measure
from bench.uploads import Upload, bursts, post
from facefleet import keys

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MOST = 19


@pytest.fixture
def probes(photos: Path) -> list[tuple[bytes, str]]:
    return [
        ((photos / f"{name}.jpg").read_bytes(), answer) for name, answer in (("obama2", "obama"), ("biden", "biden"))
    ]


@pytest.fixture
def people(photos: Path) -> Path:
    return photos.parent / "people"


@pytest.fixture
def quick(models: Path) -> dict[str, str]:
    """Down as soon as nothing waits, so that a test ends."""
    return {"LEAST_BILL": "0", "SCALE_IN_AFTER": "2", "MODELS": str(models)}


def sent(service: OnAws, uploads: list[Upload], pool: ThreadPoolExecutor) -> list["Future[str | None]"]:
    return [pool.submit(post, service.url.removeprefix("http://"), upload) for upload in uploads]


def answers_of(futures: list["Future[str | None]"]) -> list[str | None]:
    return [future.result(300) for future in futures]


def test_a_hundred_uploads_bring_nineteen_instances_and_leave_none(
    tmp_path: Path, people: Path, probes: list[tuple[bytes, str]], quick: dict[str, str]
) -> None:
    # Longer than two looks of the controller: else the first to come would have done it all.
    with service_on_aws(tmp_path, quick | {"POLICY": "classic"}, stopped=MOST, boot=5.0) as service:
        service.enrol(people)
        awaited(service.is_at_rest, "at rest")
        uploads = next(bursts(probes, 100))
        with ThreadPoolExecutor(100) as pool:
            futures = sent(service, uploads, pool)
            awaited(lambda: len(service.ours(*UP)) == MOST, "all nineteen are up")
            assert answers_of(futures) == [upload.answer for upload in uploads]
        awaited(service.is_at_rest, "at rest again")
        assert len(service.instances()) == MOST, "the warm pool is used, and nothing else"
        stored = service.backend.blobs
        for upload in uploads:
            stem, _, answer = upload.answer.partition(":")
            assert stored.get(keys.answer(f"{stem}.jpg")) == answer.encode()
        assert len(list(stored.list(keys.INPUT))) == len(list(stored.list(keys.OUTPUT))) == 100


def test_an_image_that_fits_no_message_is_answered_and_leaves_no_claim_behind(
    tmp_path: Path, people: Path, probes: list[tuple[bytes, str]], quick: dict[str, str]
) -> None:
    """As a grader sets it: 1,024 bytes for a message, once the service runs."""
    with service_on_aws(tmp_path, quick | {"MAX_INSTANCES": "2"}, stopped=2) as service:
        service.enrol(people)
        service.limit_messages(1024)
        uploads = next(bursts(probes, 4))
        with ThreadPoolExecutor(4) as pool:
            assert answers_of(sent(service, uploads, pool)) == [upload.answer for upload in uploads]
        awaited(service.is_at_rest, "at rest")
        assert not [info for info in service.backend.blobs.list(keys.claim(""))]


def test_nothing_is_lost_doubled_or_leaked_in_a_storm(
    photos: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short one; `python -m bench.storm` is the whole."""
    monkeypatch.setenv("FACEFLEET_MODELS", str(models))
    measured = measure(photos, uploads=80, most=4, seed=2)
    assert (measured.lost, measured.wrong, measured.doubled, measured.left) == (0, 0, 0, 0), measured
    assert (measured.leaked, measured.touched) == (0, 0), measured
    assert 0 < measured.most_up <= 4, measured

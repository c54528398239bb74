"""What the door decides about clips and uploads, without any backend."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from facefleet.clipfile import SUFFIXES
from facefleet.errors import ServiceError
from facefleet.model import Job, JobKind
from facefleet.problems import Problem
from facefleet.uploads import TYPES, Wanted, is_clip, wanted
from web_tier.idempotency import asked_of_upload, asked_under
from web_tier.room import Room

JOB = Job("1", JobKind.RECOGNISE, "a.jpg", 0.0)
CLIP = Job("1", JobKind.VIDEO, "a.mp4", 0.0)
DIGEST = sha256(b"file").digest()


def fingerprint(job: Job) -> str:
    return asked_under(b"caller", "key", job, DIGEST).fingerprint


# Rooms


def test_a_room_takes_what_fits_and_has_it_back_in_the_end() -> None:
    room = Room(100)
    for _ in range(3):
        with room.held(60), room.held(40), pytest.raises(Problem) as refused, room.held(1):
            pass
        assert (refused.value.status, refused.value.code) == (503, "too_many_clips")


def test_a_room_is_free_again_whatever_becomes_of_a_request() -> None:
    room = Room(10)
    with pytest.raises(ValueError), room.held(10):
        raise ValueError
    with room.held(10):
        pass


def test_of_many_at_once_no_more_are_let_in_than_fit() -> None:
    room, inside, most = Room(30), set[int](), []
    all_tried = threading.Barrier(8)

    def enter(number: int) -> bool:
        try:
            with room.held(10):
                inside.add(number)
                most.append(len(inside))
                all_tried.wait(20)
                return True
        except Problem:
            all_tried.wait(20)
            return False

    with ThreadPoolExecutor(8) as pool:
        entered = list(pool.map(enter, range(8)))
    assert entered.count(True) == max(most) == 3


# Keys


def test_a_clip_asked_about_otherwise_is_another_request_under_its_key() -> None:
    questions = (CLIP, replace(CLIP, everybody=True), replace(CLIP, top_k=1), replace(CLIP, kind=JobKind.RECOGNISE))
    assert len({fingerprint(job) for job in questions}) == 4


def test_what_was_noted_of_an_image_holds_over_an_upgrade() -> None:
    """Notes last for a day: what is digested may not change, not even by what an image never has."""
    parts = (DIGEST, b"a.jpg", b"0")
    assert fingerprint(JOB) == sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).hexdigest()


def test_an_upload_is_one_job_whoever_asks() -> None:
    asked = asked_of_upload("0" * 32)
    assert asked == asked_of_upload("0" * 32) != asked_of_upload("1" * 32)
    assert asked.job_id == "0" * 32


# Uploads


@pytest.mark.parametrize(
    ("filename", "type", "clip"),
    [
        ("a.mp4", "video/mp4", True),
        ("b.MOV", "video/quicktime", True),
        ("c.h264", "video/h264", True),
        ("d.x.mkv", "video/x-matroska", True),
        ("e.JPG", "image/jpeg", False),
        ("f.png", "image/png", False),
    ],
)
def test_a_name_says_what_is_to_be_uploaded(filename: str, type: str, clip: bool) -> None:
    file = wanted({"filename": f"C:\\films\\{filename}", "bytes": 10}, max_image=10, max_clip=10)
    assert (file, file.type, file.is_clip) == (Wanted(filename, 10), type, clip)


def test_every_clip_that_is_read_can_be_uploaded() -> None:
    assert TYPES.keys() >= SUFFIXES
    assert all(is_clip(f"a{suffix}") for suffix in SUFFIXES)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"filename": "a.mp4", "bytes": 21}, "body_too_large"),
        ({"filename": "a.jpg", "bytes": 11}, "body_too_large"),
        ({"filename": "a.txt", "bytes": 1}, "bad_upload"),
        ({"filename": ".mp4", "bytes": 1}, "bad_upload"),
        # 255 characters, and no key of S3.
        ({"filename": "\N{GRINNING FACE}" * 251 + ".mp4", "bytes": 1}, "bad_upload"),
        ({"filename": 3, "bytes": 1}, "bad_upload"),
        ({"filename": "a.mp4", "bytes": 1.0}, "bad_upload"),
        ({"filename": "a.mp4", "bytes": -1}, "bad_upload"),
    ],
)
def test_what_may_not_be_uploaded_is_refused(body: dict[str, Any], code: str) -> None:
    with pytest.raises(ServiceError) as refused:
        wanted(body, max_image=10, max_clip=20)
    assert refused.value.code == code

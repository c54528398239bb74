"""Files on the way from and to S3: of any size, and gone by name before anybody could find one."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from facefleet.backends.aws.blobs import S3Blobs
from facefleet.errors import Unavailable
from facefleet.settings import Settings

from .s3 import DENIED, answer, before_send, kept

pytestmark = pytest.mark.parametrize("settings", ["aws"], indirect=True)

MB = 1 << 20


@pytest.fixture
def blobs(s3_blobs: S3Blobs) -> S3Blobs:
    return s3_blobs


def test_a_large_file_goes_in_parts_and_arrives_whole(blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    data = os.urandom(MB) * 20 + b"end"
    blobs.put_file("gallery/snapshot", lambda path: path.write_bytes(data))
    assert s3.head_object(Bucket=settings.state_bucket, Key="gallery/snapshot")["ETag"].endswith('-3"')
    assert blobs.get("gallery/snapshot") == data
    assert blobs.local("gallery/snapshot").read_bytes() == data


def test_a_large_file_that_does_not_arrive_leaves_nothing(blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    before_send(s3, "UploadPart", lambda url: answer(403, DENIED) if "partNumber=2" in url else None)
    with pytest.raises(Unavailable, match="does not allow"):
        blobs.put_file("gallery/snapshot", lambda path: path.write_bytes(bytes(20 * MB)))
    assert kept(s3, settings.state_bucket) == []
    assert s3.list_multipart_uploads(Bucket=settings.state_bucket).get("Uploads", []) == []


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_no_file_of_a_fetched_blob_has_a_name(blobs: S3Blobs, temp: Path) -> None:
    blobs.put("gallery/snapshot", b"encodings")
    path = blobs.local("gallery/snapshot")
    assert list(temp.rglob("*")) == []
    assert path.read_bytes() == b"encodings"


def test_a_file_being_sent_has_no_name(blobs: S3Blobs, s3: Any, temp: Path) -> None:
    named: list[list[Path]] = []
    before_send(s3, "PutObject", lambda _: named.append(list(temp.rglob("*"))))
    blobs.put_file("gallery/snapshot", lambda path: path.write_bytes(b"encodings"))
    assert named == [[]]


def test_a_file_whose_making_fails_is_not_left_behind(blobs: S3Blobs, s3: Any, settings: Settings, temp: Path) -> None:
    def fill(path: Path) -> None:
        path.write_bytes(b"encodings")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        blobs.put_file("gallery/snapshot", fill)
    assert list(temp.rglob("*")) == []
    assert kept(s3, settings.state_bucket) == []


def test_a_full_disk_is_no_end_of_the_world(blobs: S3Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs.put("gallery/snapshot", b"encodings")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    with pytest.raises(Unavailable, match="cannot be written"):
        blobs.local("gallery/snapshot")
    with pytest.raises(Unavailable, match="cannot be written"):
        blobs.put_file("gallery/snapshot", lambda path: path.write_bytes(b"newer"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="files are counted in /proc")
def test_fetched_blobs_do_not_pile_up_as_open_files(blobs: S3Blobs) -> None:
    blobs.put("gallery/snapshot", b"encodings")
    first = blobs.local("gallery/snapshot")
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208  # what is listed is open only while it is listed
    for _ in range(20):
        assert blobs.local("gallery/snapshot").read_bytes() == b"encodings"
    assert len(set(os.listdir("/proc/self/fd"))) <= len(before)  # noqa: PTH208  # as above
    assert first.parent == Path("/proc/self/fd")


def test_a_thread_can_open_what_it_fetched_whatever_others_fetch(blobs: S3Blobs) -> None:
    blobs.put("gallery/snapshot", b"mine")
    blobs.put("state/a", b"another's")
    path = blobs.local("gallery/snapshot")
    with ThreadPoolExecutor(4) as pool:
        fetched = list(pool.map(lambda _: blobs.local("state/a").read_bytes(), range(20)))
    assert path.read_bytes() == b"mine"
    assert fetched == [b"another's"] * 20

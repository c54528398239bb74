"""Versions that a store keeps of a blob: whoever forgets finds all of them, and may drop all but what lies there."""

import logging
import time
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from controller.housekeeping import forget
from facefleet import answers, keys
from facefleet.backends.aws.blobs import S3Blobs
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.people import DynamoPeople
from facefleet.errors import NotFound, Unavailable
from facefleet.model import Box, Face, Job, JobKind, Person, Result
from facefleet.ports import Blobs
from facefleet.settings import Settings

from .conftest import OpenBackend
from .s3 import before_send, kept

on_aws = pytest.mark.parametrize("settings", ["aws"], indirect=True)


def listed(blobs: Blobs, prefix: str) -> list[str]:
    return sorted(info.key for info in blobs.list(prefix, every_version=True))


def answered(blobs: Blobs, id: str, person: str) -> dict[str, Any]:
    """The result of an image that shows this person, whose file is called as all others."""
    job = Job(id, JobKind.RECOGNISE, "a.jpg", 0.0)
    return answers.store(blobs, job, Result(id, "a.jpg", (Face(Box(0, 0, 9, 9), 0.5, person_id=person),)), b"image")


def test_a_list_of_every_version_has_each_key_once(blobs: Blobs) -> None:
    started = time.time()
    for key in ("photos/paul/1", "photos/paul/1", "photos/paul/2", "photos/paula/1", "in/a"):
        blobs.put(key, b"face")
    assert listed(blobs, "photos/paul/") == ["photos/paul/1", "photos/paul/2"]
    assert listed(blobs, "in/") == ["in/a"]
    (info,) = blobs.list("in/", every_version=True)
    assert info.size == 4 and info.modified >= started - 2


def test_what_lies_there_outlives_what_lay_there_before(blobs: Blobs) -> None:
    for data in (b"1", b"2", b"3"):
        blobs.put("out/a", data)
        blobs.put("out/aa", data)
    blobs.delete_older("out/a")
    blobs.delete_older("out/nothing")
    assert (blobs.get("out/a"), blobs.get("out/aa")) == (b"3", b"3")


@on_aws
def test_only_the_older_versions_of_just_this_blob_are_dropped(s3_blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    for data in (b"1", b"2"):
        s3_blobs.put("out/a", data)
        s3_blobs.put("out/aa", data)
    s3.delete_object(Bucket=settings.output_bucket, Key="a")
    s3_blobs.put("out/a", b"3")
    s3_blobs.delete_older("out/a")
    assert kept(s3, settings.output_bucket) == ["a", "aa", "aa"]
    assert s3_blobs.get("out/a") == b"3"


@on_aws
def test_more_older_versions_than_a_page_holds_are_dropped(s3_blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    for number in range(1050):
        s3.put_object(Bucket=settings.output_bucket, Key="a", Body=b"%d" % number)
    s3_blobs.delete_older("out/a")
    assert kept(s3, settings.output_bucket) == ["a"]
    assert s3_blobs.get("out/a") == b"1049"


@on_aws
def test_what_somebody_else_deleted_is_found_by_its_versions(s3_blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    s3_blobs.put("in/a.jpg", b"face")
    s3.delete_object(Bucket=settings.input_bucket, Key="a.jpg")
    assert list(s3_blobs.list("in/")) == []
    assert listed(s3_blobs, "in/") == ["in/a.jpg"]


@on_aws
def test_what_somebody_else_deleted_is_forgotten_with_the_rest(s3_blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    for key in ("a.jpg", "b.jpg"):
        s3_blobs.put(f"in/{key}", b"face")
    s3.delete_object(Bucket=settings.input_bucket, Key="a.jpg")
    assert forget(s3_blobs, time.time() + 60) == 2
    assert kept(s3, settings.input_bucket) == []


def test_an_erased_answer_leaves_that_of_another_file_of_its_name(blobs: Blobs) -> None:
    paul = answered(blobs, "1", "paul")
    answered(blobs, "2", "mary")
    answers.erase(blobs, paul, answer="paul")
    assert blobs.get(keys.answer("a.jpg")) == b"mary"


@on_aws
@pytest.mark.parametrize("deleted", [True, False])
def test_an_erased_answer_leaves_no_version_that_names_the_person(
    s3_blobs: S3Blobs, s3: Any, settings: Settings, deleted: bool
) -> None:
    """Whether another's answer lies there since, or somebody deleted it by hand."""
    paul = answered(s3_blobs, "1", "paul")
    if deleted:
        s3.delete_object(Bucket=settings.output_bucket, Key="a")
    else:
        answered(s3_blobs, "2", "mary")
    answers.erase(s3_blobs, paul, answer="paul")
    assert kept(s3, settings.output_bucket) == ([] if deleted else ["a"])


@pytest.mark.parametrize("use", ["get", "local", "tagged"])
def test_what_is_said_of_a_photo_that_is_missing_names_nobody(blobs: Blobs, use: str) -> None:
    with pytest.raises(NotFound) as raised:
        getattr(blobs, use)("photos/paul/1")
    assert "paul" not in str(raised.value)


@on_aws
def test_what_is_said_of_a_store_that_does_not_answer_names_nobody(
    s3_blobs: S3Blobs, s3: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does what it stems from, which a traceback tells: its URL."""

    def silent(url: str) -> None:
        raise ReadTimeoutError(endpoint_url=url)

    for operation in ("PutObject", "GetObject", "ListObjectsV2", "ListObjectVersions"):
        before_send(s3, operation, silent)
    # Apart: a traceback shows the lines of these.
    key, prefix = keys.photo("paul", "1"), keys.photos("paul")
    uses = (
        lambda: s3_blobs.put(key, b"x"),
        lambda: s3_blobs.get(key),
        lambda: s3_blobs.delete(key),
        lambda: list(s3_blobs.list(prefix)),
    )
    with caplog.at_level(logging.WARNING):
        for use in uses:
            try:
                use()
            except Unavailable:
                logging.getLogger("test").exception("it went wrong")
    assert caplog.text.count("S3 does not answer (ReadTimeoutError)") == len(uses)
    assert "paul" not in caplog.text


@on_aws
def test_what_is_said_of_people_in_a_log_names_nobody(open_backend: OpenBackend, clients: Clients) -> None:
    def denied(request: Any, **_: Any) -> None:
        raise ReadTimeoutError(endpoint_url=request.url)

    open_backend()
    clients.dynamodb.meta.events.register("before-send.dynamodb", denied)
    people = DynamoPeople(clients.dynamodb, "people")
    for use in (lambda: people.get("paul"), lambda: people.put(Person("paul", "Paul")), lambda: people.delete("paul")):
        with pytest.raises(Unavailable) as raised:
            use()
        assert "paul" not in str(raised.value).lower()

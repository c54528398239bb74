"""What S3 asks for besides: versions that are erased, pages, words of its own, and few calls."""

from collections import Counter
from collections.abc import Callable
from threading import Barrier, Lock
from typing import Any

import pytest

from bench.emulators import Emulator
from facefleet.backends.aws.blobs import S3Blobs
from facefleet.errors import Conflict, NotFound, ServiceError, Unavailable
from facefleet.settings import Settings

from .s3 import DENIED, answer, before_send, kept

pytestmark = pytest.mark.parametrize("settings", ["aws"], indirect=True)

ERROR_IN_A_BATCH = b"""<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Error><Key>a</Key>
<VersionId>%s</VersionId><Code>%s</Code><Message>We encountered an internal error.</Message></Error></DeleteResult>"""


@pytest.fixture
def blobs(s3_blobs: S3Blobs) -> S3Blobs:
    return s3_blobs


@pytest.fixture
def calls(store: Emulator) -> Callable[[Callable[[], object]], int]:
    """How many requests S3 had meanwhile."""

    def counted(do: Callable[[], object]) -> int:
        before = _requests(store)
        do()
        return (_requests(store) - before).total()

    return counted


def _requests(store: Emulator) -> "Counter[str]":
    counts = store.told("/_counts")
    assert isinstance(counts, dict)
    return Counter({name: count for name, count in counts.items() if name.startswith("s3 ")})


def test_graders_find_the_image_as_sent_and_the_answer_by_its_stem(blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    blobs.put_all({"in/test_00.jpg": b"\xff\xd8image", "results/1.json": b"{}", "out/test_00": b"Paul"})
    assert s3.get_object(Bucket=settings.input_bucket, Key="test_00.jpg")["Body"].read() == b"\xff\xd8image"
    assert s3.get_object(Bucket=settings.output_bucket, Key="test_00")["Body"].read() == b"Paul"
    assert s3.get_object(Bucket=settings.state_bucket, Key="results/1.json")["Body"].read() == b"{}"


def test_a_deletion_leaves_no_version_and_no_mark(blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    for data in (b"1", b"2", b"3"):
        blobs.put("in/1.jpg", data)
    s3.delete_object(Bucket=settings.input_bucket, Key="1.jpg")
    blobs.put("in/1.jpg", b"4")
    blobs.put("in/1.jpg0", b"another")
    assert [blobs.delete("in/1.jpg"), blobs.delete("in/1.jpg")] == [True, False]
    assert kept(s3, settings.input_bucket) == ["1.jpg0"]


def test_what_somebody_else_deleted_is_erased_too(blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    blobs.put("in/a.jpg", b"image")
    s3.delete_object(Bucket=settings.input_bucket, Key="a.jpg")
    with pytest.raises(NotFound):
        blobs.get("in/a.jpg")
    assert blobs.delete("in/a.jpg") is True
    assert kept(s3, settings.input_bucket) == []


def test_more_versions_than_a_page_holds_are_erased(blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    for _ in range(1050):
        s3.put_object(Bucket=settings.input_bucket, Key="a", Body=b"")
    blobs.put("in/aa", b"another")
    assert blobs.delete("in/a") is True
    assert kept(s3, settings.input_bucket) == ["aa"]


def test_a_version_that_may_not_be_deleted_is_told_at_once(
    s3: Any, settings: Settings, calls: Callable[[Callable[[], object]], int]
) -> None:
    bucket = f"{settings.input_bucket}-locked"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    blobs = S3Blobs(s3, {"in": bucket}, settings.state_bucket)
    blobs.put("in/a.jpg", b"held")
    s3.put_object_legal_hold(Bucket=bucket, Key="a.jpg", LegalHold={"Status": "ON"})
    blobs.put("in/a.jpg", b"not held")

    def refused() -> None:
        with pytest.raises(Unavailable, match="AccessDenied"):
            blobs.delete("in/a.jpg")

    assert calls(refused) == 2
    assert blobs.get("in/a.jpg") == b"held"


@pytest.mark.parametrize(("failures", "raised"), [(1, None), (2, None), (3, Unavailable)])
def test_a_deletion_that_failed_within_s3_is_tried_again(
    blobs: S3Blobs, s3: Any, settings: Settings, failures: int, raised: type[ServiceError] | None
) -> None:
    blobs.put("in/a", b"1")
    version = s3.head_object(Bucket=settings.input_bucket, Key="a")["VersionId"].encode()
    answers = [answer(200, ERROR_IN_A_BATCH % (version, b"InternalError")) for _ in range(failures)]
    before_send(s3, "DeleteObjects", lambda _: answers.pop() if answers else None)
    if raised:
        with pytest.raises(raised, match="InternalError"):
            blobs.delete("in/a")
    else:
        assert blobs.delete("in/a") is True
    assert kept(s3, settings.input_bucket) == (["a"] if raised else [])


def test_a_list_goes_over_several_pages(
    blobs: S3Blobs, s3: Any, settings: Settings, calls: Callable[[Callable[[], object]], int]
) -> None:
    keys = {f"results/{number}.json" for number in range(1500)}
    for key in keys:
        s3.put_object(Bucket=settings.state_bucket, Key=key, Body=b"")
    listed: list[str] = []
    assert calls(lambda: listed.extend(info.key for info in blobs.list("results/"))) == 2
    assert (len(listed), set(listed)) == (1500, keys)


def test_what_others_put_there_and_no_blob_could_be_is_not_listed(blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    for key in ("100%.jpg", "%61.jpg", "a.jpg"):
        s3.put_object(Bucket=settings.input_bucket, Key=key, Body=b"")
    listed = [info.key for info in blobs.list("in/")]
    assert listed == ["in/a.jpg"]
    assert [blobs.get(key) for key in listed] == [b""]


def test_the_last_of_several_is_written_once_the_others_lie_there(blobs: S3Blobs, s3: Any, settings: Settings) -> None:
    there_before: list[list[str]] = []
    together = Barrier(3, timeout=30)

    def look(url: str) -> None:
        if url.endswith("/out/last") or "/results/last" in url:
            there_before.append(kept(s3, settings.input_bucket))
        else:
            # None of these is answered before all of them are asked.
            together.wait()

    before_send(s3, "PutObject", look)
    blobs.put_all({"in/a": b"1", "in/b": b"2", "in/c": b"3", "results/last": b"4"})
    assert there_before == [["a", "b", "c"]]


def test_the_last_of_several_is_not_written_where_another_failed(blobs: S3Blobs, s3: Any) -> None:
    before_send(s3, "PutObject", lambda url: answer(403, DENIED) if url.endswith("/b") else None)
    with pytest.raises(Unavailable, match="does not allow"):
        blobs.put_all({"in/a": b"1", "in/b": b"2", "results/last": b"3"})
    with pytest.raises(NotFound):
        blobs.get("results/last")


def test_many_are_put_by_few_threads(blobs: S3Blobs, s3: Any) -> None:
    under_way, most, lock = 0, 0, Lock()

    def enter(_: str) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)

    def leave(**_: Any) -> None:
        nonlocal under_way
        with lock:
            under_way -= 1

    before_send(s3, "PutObject", enter)
    s3.meta.events.register("after-call.s3.PutObject", leave)
    wanted = {f"in/{number}": bytes([number]) for number in range(40)}
    blobs.put_all(wanted)
    assert {key: blobs.get(key) for key in wanted} == wanted
    assert 1 < most <= 8


def test_each_verb_takes_few_calls(blobs: S3Blobs, calls: Callable[[Callable[[], object]], int]) -> None:
    fetched = []
    taken = {
        "put": calls(lambda: blobs.put("in/a", b"1")),
        "get": calls(lambda: blobs.get("in/a")),
        "tagged": calls(lambda: fetched.append(blobs.tagged("in/a"))),
        "put_if": calls(lambda: blobs.put_if("in/a", b"2", tag=fetched[0][1])),
        "local": calls(lambda: blobs.local("in/a")),
        "list": calls(lambda: list(blobs.list("in/"))),
        "put_all": calls(lambda: blobs.put_all({"in/a": b"1", "results/a": b"2", "out/a": b"3"})),
        "put_file": calls(lambda: blobs.put_file("in/b", lambda path: path.write_bytes(b"1"))),
        "delete": calls(lambda: blobs.delete("in/a")),
        "delete nothing": calls(lambda: blobs.delete("in/a")),
    }
    assert taken == dict.fromkeys(("put", "get", "tagged", "put_if", "local", "list", "put_file"), 1) | {
        "put_all": 3,
        "delete": 2,
        "delete nothing": 1,
    }


@pytest.mark.parametrize("tag", ["*", '"*"', '"a", "b"', ""])
def test_a_tag_that_would_fit_anything_is_no_tag(blobs: S3Blobs, tag: str) -> None:
    blobs.put("state/a", b"there")
    with pytest.raises(Conflict):
        blobs.put_if("state/a", b"mine", tag=tag)
    assert blobs.get("state/a") == b"there"


@pytest.mark.parametrize(
    ("status", "code"), [(409, "ConditionalRequestConflict"), (412, "PreconditionFailed"), (404, "NoSuchKey")]
)
def test_each_word_of_s3_for_somebody_else_was_there_is_a_conflict(
    blobs: S3Blobs, s3: Any, status: int, code: str
) -> None:
    tag = blobs.put_if("state/a", b"1", tag=None)
    refusal = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    before_send(s3, "PutObject", lambda _: answer(status, refusal))
    with pytest.raises(Conflict):
        blobs.put_if("state/a", b"2", tag=tag)


def test_a_missing_bucket_is_no_missing_blob(s3: Any, settings: Settings) -> None:
    blobs = S3Blobs(s3, {}, f"{settings.state_bucket}-not-there")
    for use in (blobs.get, blobs.local, blobs.delete, lambda key: list(blobs.list(key)), lambda k: blobs.put(k, b"x")):
        with pytest.raises(Unavailable, match="`facefleet setup` makes it"):
            use("state/a")
    with pytest.raises(Unavailable, match="`facefleet setup` makes it"):
        blobs.put_if("state/a", b"1", tag='"a"')


def test_an_answer_that_breaks_off_is_no_blob(blobs: S3Blobs, s3: Any) -> None:
    blobs.put("in/a", b"whole")
    before_send(s3, "GetObject", lambda _: answer(200, b"who", {"Content-Length": "5", "ETag": '"a"'}))
    for use in (blobs.get, blobs.local):
        with pytest.raises(Unavailable, match="does not answer"):
            use("in/a")

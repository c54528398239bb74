"""The function on real buckets, queues and tables: each event once, whatever is delivered twice or fails in between."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from awake import BLACK, RED, function_of, image_of, picture, taken
from unit.clips import clip_of
from woken import Context, message, put, records

from bench import emulators
from facefleet import answers, keys, wire
from facefleet.arrivals import arrival_of
from facefleet.errors import NotFound, Unavailable
from facefleet.model import Job, JobKind

from .functions import CLIP, Account, open_account

LINE = "mr_bean,lawyer,freshmen"


@pytest.fixture
def account(store: emulators.Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    for name, value in store.env.items():
        monkeypatch.setenv(name, value)
    return open_account(tmp_path)


def test_a_clip_becomes_a_line_and_a_message(account: Account) -> None:
    account.wake(records(account.put("test_0.mp4")))
    assert (account.line("test_0"), account.sent()) == (f"{LINE}\n", [f"{LINE},test_0"])


def test_an_event_that_is_delivered_twice_is_told_once(account: Account) -> None:
    event = records(account.put("test_0.mp4"))
    for _ in range(3):
        account.wake(event)
    assert account.sent() == [f"{LINE},test_0"]
    versions = account.clients.s3.list_object_versions(Bucket=account.settings.output_bucket, Prefix="test_0")
    assert len(versions["Versions"]) == 1


def test_one_delivered_twice_at_once_is_told_once_and_comes_again(account: Account) -> None:
    event = records(account.put("test_0.mp4"))
    entered, leave = threading.Event(), threading.Event()
    get = account.outside.objects.get

    class Slow:
        blob = staticmethod(account.outside.objects.blob)

        def get(self, *args: Any, **how: Any) -> bytes:
            entered.set()
            assert leave.wait(20)
            return get(*args, **how)

    slow = account.with_outside(objects=Slow())
    first = threading.Thread(target=slow.wake, args=(event,))
    first.start()
    assert entered.wait(20)
    with pytest.raises(Unavailable, match="being done by somebody else"):
        account.wake(event)
    leave.set()
    first.join()
    account.wake(event)
    assert account.sent() == [f"{LINE},test_0"]


def test_a_file_of_the_same_name_again_is_another(account: Account) -> None:
    first = account.put("test_0.mp4")
    second = account.put("test_0.mp4", clip_of((image_of(BLACK), 0.2)))
    account.wake(records(first))
    account.wake(records(second))
    # Each by its own version, though the first was not the newest any more.
    assert account.sent() == [f"{LINE},test_0", "unknown,,,test_0"]
    assert account.line("test_0") == "unknown,,\n"


@pytest.mark.parametrize("key", ["a+b%20c.mp4", "a b c.mp4", "x//y/./test 1.mp4", "ünï&=?.mp4"])
def test_keys_of_any_characters_are_read(account: Account, key: str) -> None:
    account.wake(records(account.put(key)))
    stem = keys.stem(keys.clean_filename(key))
    assert account.sent() == [f"{LINE},{stem}"]


def test_an_object_of_another_bucket_is_recognised_and_is_none_of_our_blobs(account: Account) -> None:
    other = f"other-{account.settings.input_bucket}"
    account.clients.s3.create_bucket(Bucket=other)
    account.clients.s3.put_object(Bucket=other, Key="test_0.mp4", Body=CLIP)
    record = put(other, "test_0.mp4")
    account.wake(records(record))
    assert account.sent() == [f"{LINE},test_0"]
    whole = answers.stored_whole(account.outside.blobs, arrival_of(record).job_id)
    # An erasure would look for it in ours.
    assert "_source" not in whole


def test_what_was_done_is_not_done_again_when_the_rest_comes_again(account: Account) -> None:
    event = records(account.put("a.mp4"), account.put("b.mp4"))
    failing = Failing(account.outside.responses(), at=2)
    with pytest.raises(Unavailable, match="1 of 2"):
        account.with_outside(responses=lambda: failing).wake(event)
    account.wake(event)
    assert sorted(account.sent()) == [f"{LINE},a", f"{LINE},b"]


class Failing:
    """A queue whose n-th send fails, before anything was sent."""

    def __init__(self, queue: Any, at: int) -> None:
        self._queue, self._at, self._count = queue, at, 0

    def send(self, body: str) -> None:
        self._count += 1
        if self._count == self._at:
            raise Unavailable("SQS does not answer")
        self._queue.send(body)


def test_a_clip_that_nobody_can_read_is_buried_once(account: Account) -> None:
    event = records(account.put("test_0.mp4", CLIP[:100]))
    account.wake(event)
    account.wake(event)
    [letter] = account.dead()
    assert letter["responsePayload"]["errorType"] == "damaged_video"
    assert account.sent() == []


@pytest.mark.parametrize("key", ["test_0.mp4", f"uploads/{'a' * 32}/test_0.mp4"])
def test_a_dead_letter_that_is_sent_again_is_done_again_once(account: Account, key: str) -> None:
    strict = function_of(account.outside, replace(account.settings, max_video_bytes=10))
    strict(records(account.put(key)), Context())
    [letter] = account.dead()
    # Somebody has read why, and changed that.
    for _ in range(2):
        account.wake(letter["requestPayload"])
    assert (account.sent(), account.line("test_0")) == ([f"{LINE},test_0"], f"{LINE}\n")


def test_a_clip_deleted_meanwhile_is_nobodys_fault(account: Account) -> None:
    record = account.put("test_0.mp4")
    account.outside.blobs.delete("in/test_0.mp4")
    account.wake(records(record))
    assert (account.sent(), account.dead()) == ([], [])


def test_what_is_too_large_is_refused_whatever_its_event_says(account: Account) -> None:
    small = replace(account.settings, max_video_bytes=10)
    record = account.put("test_0.mp4")
    record["s3"]["object"]["size"] = 5
    function_of(account.outside, small)(records(record), Context())
    [letter] = account.dead()
    assert letter["responsePayload"]["errorType"] == "too_large"


def test_an_uploads_result_erases_the_upload(account: Account) -> None:
    id = "b" * 32
    account.wake(records(account.put(f"uploads/{id}/clip.mp4")))
    whole = answers.stored_whole(account.outside.blobs, id)
    assert whole is not None
    answers.erase(account.outside.blobs, whole, answer="mr_bean")
    left = [info.key for area in ("in/", "out/", "results/") for info in account.outside.blobs.list(area)]
    assert left == []


def test_the_table_holds_no_names(account: Account) -> None:
    account.wake(records(account.put("test_0.mp4")))
    items = account.clients.dynamodb.scan(TableName=f"{account.settings.people_table}-once")["Items"]
    assert len(items) == 1
    assert not any(word in json.dumps(items) for word in ("mr_bean", "lawyer", "test_0"))


def test_jobs_notifications_and_forms_come_by_queue(account: Account) -> None:
    replies = account.clients.sqs.create_queue(QueueName=f"{account.settings.response_queue}-web")
    assert replies
    job = Job(
        "c" * 32, JobKind.VIDEO, "a.mp4", time.time(), image=CLIP, reply_to=f"{account.settings.response_queue}-web"
    )
    form = {"request_id": "r-1", "content": wire.base64.b64encode_as_string(picture(RED)), "filename": "test_00.jpg"}
    batch = records(
        message(wire.dump_job(job), "1"),
        message(json.dumps(records(account.put("n.mp4"))), "2"),
        message(json.dumps(form), "3"),
        message("poison", "4"),
    )
    answer = account.wake(batch)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "4"}]}
    sent = account.sent()
    assert sorted(sent) == sorted([f"{LINE},n", json.dumps({"request_id": "r-1", "result": "mr_bean"})])
    [reply] = taken(account.outside.replies(f"{account.settings.response_queue}-web"))
    assert wire.load_reply(reply)["answer"] == "mr_bean"
    assert account.wake(records(batch["Records"][2])) == {"batchItemFailures": []}
    assert account.sent() == []


def test_a_missing_bucket_is_worth_another_try(account: Account) -> None:
    with pytest.raises(Unavailable):
        account.wake(records(put("no-such-bucket-here", "test_0.mp4")))
    with pytest.raises(NotFound):
        account.outside.blobs.get("out/test_0")

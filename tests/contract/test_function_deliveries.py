"""What S3 itself tells a function, and requests to one that has a table, a secret and a bucket to upload to."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from awake import GREEN, RED, answered, headers_of, picture
from woken import KEY, Context, Json, asked_1, asked_2, put, records

from bench import emulators
from facefleet.errors import Unavailable
from facefleet.wire import Json as Told
from lambda_tier import handler

from .functions import CLIP, Account, open_account

PATIENCE = 30.0
LINE = "mr_bean,lawyer,freshmen"
JSON = {"Content-Type": "application/json"}
PHOTO = picture(RED)


@pytest.fixture
def account(store: emulators.Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    for name, value in store.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", store.url)
    account = open_account(tmp_path, API_KEY_SECRET=f"key-{tmp_path.name}")
    secret = {"key": KEY, "scopes": "recognise+enrol+admin"}
    handler.function.connect(account.settings).secrets.create_secret(
        Name=f"key-{tmp_path.name}", SecretString=json.dumps(secret)
    )
    return account


@pytest.fixture
def told(account: Account) -> Iterator[Any]:
    """The events that S3 tells of the input bucket, as it writes them."""
    sqs, name = account.clients.sqs, account.settings.request_queue
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    account.clients.s3.put_bucket_notification_configuration(
        Bucket=account.settings.input_bucket,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
    )

    def next_of(count: int) -> list[Told]:
        events: list[Told] = []
        deadline = time.monotonic() + PATIENCE
        while len(events) < count and time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", ()):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                event = json.loads(message["Body"])
                if event.get("Event") == "s3:TestEvent":
                    assert account.wake(event) is None
                else:
                    events.append(event)
        return events

    yield next_of


@pytest.mark.parametrize("key", ["test_0.mp4", "a+b%20c.mp4", "folder/x y.mp4", "ünï.mp4"])
def test_what_s3_tells_is_understood(account: Account, told: Any, key: str) -> None:
    account.clients.s3.put_object(Bucket=account.settings.input_bucket, Key=key, Body=CLIP)
    [event] = told(1)
    account.wake(event)
    stem = key.rpartition("/")[2].removesuffix(".mp4")
    assert account.sent() == [f"{LINE},{stem}"]


def test_a_clip_in_parts_is_one_event(account: Account, told: Any) -> None:
    s3, bucket = account.clients.s3, account.settings.input_bucket
    which = {"Bucket": bucket, "Key": "parts.mp4"}
    which["UploadId"] = s3.create_multipart_upload(**which)["UploadId"]
    tag = s3.upload_part(**which, PartNumber=1, Body=CLIP)["ETag"]
    s3.complete_multipart_upload(**which, MultipartUpload={"Parts": [{"ETag": tag, "PartNumber": 1}]})
    [event] = told(1)
    assert "CompleteMultipartUpload" in event["Records"][0]["eventName"]
    account.wake(event)
    assert account.sent() == [f"{LINE},parts"]


def test_an_upload_by_a_presigned_url_ends_in_its_result(account: Account, told: Any) -> None:
    wanted = json.dumps({"filename": "clip.mp4", "bytes": len(CLIP)})
    status, made = answered(account.wake(asked_2("POST", "/v1/uploads", wanted, headers=JSON)))
    assert status == 201
    request = Request(made["upload"]["url"], CLIP, made["upload"]["headers"], method="PUT")  # noqa: S310  # an emulator's
    urlopen(request, timeout=PATIENCE).close()  # noqa: S310  # an emulator's
    assert answered(account.wake(asked_2("GET", made["result"])))[0] == 202
    [event] = told(1)
    account.wake(event)
    status, result = answered(account.wake(asked_2("GET", made["result"])))
    assert (status, result["id"], result["answer"]) == (200, made["upload"]["id"], "mr_bean")
    named = json.dumps({"upload": made["upload"]["id"]})
    assert answered(account.wake(asked_2("POST", "/v1/videos", named, headers=JSON))) == (200, result)
    assert account.line("clip") == f"{LINE}\n"


def asked(account: Account, key: str, image: bytes = PHOTO, **how: Any) -> tuple[int, Json, dict[str, str]]:
    answer = account.wake(asked_1("POST", "/v1/recognitions", image, headers={"Idempotency-Key": key}, **how))
    return (*answered(answer), headers_of(answer))


def test_a_request_under_a_key_is_answered_as_the_first_time(account: Account) -> None:
    first, again, other = asked(account, "k-1"), asked(account, "k-1"), asked(account, "k-2")
    assert (first[0], again[:2], again[2].get("idempotent-replayed")) == (200, first[:2], "true")
    assert (other[1]["id"] != first[1]["id"], "idempotent-replayed" in first[2]) == (True, False)


def test_two_callers_share_no_key(account: Account) -> None:
    keys = {KEY: frozenset({"recognise"}), "other": frozenset({"recognise"})}
    account = account.with_outside(keys=lambda: keys)
    headers = {"Idempotency-Key": "k-1", "x-api-key": "other"}
    first = asked(account, "k-1")
    other = account.wake(asked_1("POST", "/v1/recognitions", PHOTO, headers=headers))
    assert answered(other)[1]["id"] != first[1]["id"]
    assert "idempotent-replayed" not in headers_of(other)


def test_two_callers_whom_aws_has_checked_share_no_key_either(account: Account) -> None:
    told = []
    for who in ("one", "other", "one"):
        event = asked_1("POST", "/v1/recognitions", PHOTO, headers={"Idempotency-Key": "k-1"})
        event["requestContext"]["identity"]["userArn"] = f"arn:aws:iam::123456789012:user/{who}"
        told.append(account.wake(event))
    assert ["idempotent-replayed" in headers_of(one) for one in told] == [False, False, True]


@pytest.mark.parametrize(("image", "how"), [(picture(GREEN), {}), (PHOTO, {"top_k": "1"}), (PHOTO, {"filename": "b"})])
def test_a_key_stands_for_one_request(account: Account, image: bytes, how: dict[str, str]) -> None:
    asked(account, "k-1")
    status, problem, _ = asked(account, "k-1", image, **how)
    assert (status, problem["code"]) == (422, "idempotency_key_reused")


def test_a_request_whose_first_is_under_way_is_to_come_later(account: Account) -> None:
    entered, leave = threading.Event(), threading.Event()
    changes = account.outside.people.changes

    class Slow:
        def __getattr__(self, verb: str) -> Any:
            return getattr(account.outside.people, verb)

        def changes(self, since: int) -> Any:
            entered.set()
            assert leave.wait(PATIENCE)
            return changes(since)

    first = threading.Thread(target=asked, args=(account.with_outside(people=Slow()), "k-1"))
    first.start()
    assert entered.wait(PATIENCE)
    status, problem, headers = asked(account, "k-1")
    assert (status, problem["code"], headers["retry-after"]) == (409, "in_progress", "5")
    leave.set()
    first.join()
    assert asked(account, "k-1")[0] == 200


def test_the_key_is_the_secrets(account: Account) -> None:
    assert answered(account.wake(asked_2("POST", "/", PHOTO)))[0] == 200
    assert answered(account.wake(asked_2("POST", "/", PHOTO, headers={"x-api-key": "wrong"})))[0] == 401


def test_a_secret_that_cannot_be_read_is_a_fault_of_ours(account: Account) -> None:
    keys = handler.keys_of(account.settings, "no-such-secret", handler.function.connect(account.settings).secrets)
    status, problem = answered(account.with_outside(keys=keys).wake(asked_2("POST", "/", PHOTO)))
    assert (status, problem["code"]) == (503, "unavailable")


class Killed(BaseException):
    """As a process that is gone: nobody tidies up behind it."""


def test_what_a_killed_process_was_at_is_done_once_its_time_is_over(account: Account) -> None:
    event = records(account.put("test_0.mp4"))

    class Killing:
        def send(self, body: str) -> None:
            raise Killed

    with pytest.raises(Killed):
        account.with_outside(responses=Killing).function(event, Context(5.5))
    with pytest.raises(Unavailable, match="being done by somebody else"):
        account.wake(event)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            account.wake(event)
            break
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert account.sent() == [f"{LINE},test_0"]


def test_a_table_of_people_that_is_gone_is_no_answer(account: Account) -> None:
    record = account.put("test_0.mp4")
    account.clients.dynamodb.delete_table(TableName=f"{account.settings.people_table}-index")
    with pytest.raises(Unavailable, match="there is no such table"):
        account.wake(records(record))
    status, problem = answered(account.wake(asked_2("POST", "/", PHOTO)))
    assert (status, problem["code"]) == (503, "unavailable")
    # Neither is it one for later, nor for whoever reads dead letters.
    assert (list(account.outside.blobs.list("results/")), account.sent(), account.dead()) == ([], [], [])


def test_a_table_that_does_not_answer_is_worth_another_try(account: Account) -> None:
    once = handler.Once("no-such-table", handler.function.connect(account.settings).dynamodb)
    broken = account.with_outside(once=once)
    with pytest.raises(Unavailable, match="1 of 1"):
        broken.wake(records(put(account.settings.input_bucket, "test_0.mp4")))
    status, problem, _ = asked(broken, "k-1")
    assert (status, problem["code"]) == (503, "unavailable")
    assert account.sent() == []

"""The function's real code at its normal work, under its own policy, with IAM enforced by the server."""

import json
import time
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests
from awake import BLACK, RED, answered, enrol, function_of, image_of, picture
from unit.clips import clip_of
from woken import KEY, Context, Json, asked_2, message
from woken import put as told_by_s3

from facefleet import wire
from facefleet.backends.aws import function
from facefleet.model import Job, JobKind
from lambda_tier.dispatch import Function
from lambda_tier.handler import outside_of

from .iam import ACCOUNT, Place, user

RECORDS = "facefleet-function-records"
CLIP = clip_of((image_of(BLACK), 0.2), (image_of(RED), 0.2))
LINE = "mr_bean,lawyer,freshmen"


@dataclass
class Guarded:
    place: Place
    function: Function

    def wake(self, event: object) -> Any:
        return self.function(event, Context())

    def letters(self, queue: str) -> list[str]:
        found = self.root("sqs").receive_message(QueueUrl=f"{self.place.url}/{ACCOUNT.id}/{queue}", WaitTimeSeconds=0)
        return [one["Body"] for one in found.get("Messages", ())]

    def root(self, service: str) -> Any:
        return self.place.client("root", service)


@pytest.fixture
def guarded_function(guarded: Place, monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """All that the stack makes, made by others; the function has its role's rights alone."""
    root = guarded.client("root", "dynamodb")
    if RECORDS not in root.list_tables()["TableNames"]:
        root.create_table(
            TableName=RECORDS,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
    secret = guarded.client("root", "secretsmanager").create_secret(
        Name=f"ApiKey-{guarded.settings.people_table}", SecretString=json.dumps({"key": KEY, "scopes": "recognise"})
    )["ARN"]
    _as(guarded, "root", monkeypatch)
    enrol(function.connect(guarded.settings).people)
    own = user(guarded.client("root", "iam"), "function", guarded.settings)
    guarded = replace(guarded, keys={**guarded.keys, "function": own})
    _as(guarded, "function", monkeypatch)
    dead = f"{guarded.url}/{ACCOUNT.id}/{guarded.settings.request_queue}-dead"
    outside = outside_of(guarded.settings, {"IDEMPOTENCY_TABLE": RECORDS, "DEAD_QUEUE": dead, "API_KEY_SECRET": secret})
    return Guarded(guarded, function_of(outside, guarded.settings))


def _as(place: Place, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.env(who).items():
        monkeypatch.setenv(name, value)


def arrived(guarded: Guarded, key: str, data: bytes) -> Json:
    bucket = guarded.place.settings.input_bucket
    made = guarded.root("s3").put_object(Bucket=bucket, Key=key, Body=data)
    return {"Records": [told_by_s3(bucket, key, len(data), versionId=made["VersionId"])]}


def line(guarded: Guarded, key: str) -> str:
    found = guarded.root("s3").get_object(Bucket=guarded.place.settings.output_bucket, Key=key)
    return str(found["Body"].read().decode())


def test_a_clip_that_comes_and_comes_twice_is_answered(guarded_function: Guarded) -> None:
    event = arrived(guarded_function, "test_0.mp4", CLIP)
    for _ in range(2):
        guarded_function.wake(event)
    assert line(guarded_function, "test_0") == f"{LINE}\n"
    assert guarded_function.letters(guarded_function.place.settings.response_queue) == [f"{LINE},test_0"]


def test_what_nobody_can_read_becomes_a_dead_letter(guarded_function: Guarded) -> None:
    guarded_function.wake(arrived(guarded_function, "test_1.mp4", b"no clip"))
    (letter,) = guarded_function.letters(f"{guarded_function.place.settings.request_queue}-dead")
    assert json.loads(letter)["responsePayload"]["errorType"] == "not_a_video"


def test_a_frame_by_http_is_answered_and_another_key_is_not(guarded_function: Guarded) -> None:
    headers = {"content-type": "image/jpeg"}
    status, body = answered(guarded_function.wake(asked_2("POST", "/", picture(RED), headers=headers)))
    assert (status, body["name"], body["major"]) == (200, "mr_bean", "lawyer")
    result = f"/v1/recognitions/{body['result']['id']}"
    assert answered(guarded_function.wake(asked_2("GET", result)))[0] == 200
    wrong = asked_2("POST", "/", picture(RED), headers=headers | {"x-api-key": "guess"})
    assert answered(guarded_function.wake(wrong))[0] == 401


def test_a_client_may_put_what_the_function_signed_and_nothing_else(guarded_function: Guarded) -> None:
    asked = json.dumps({"filename": "test_2.mp4", "bytes": len(CLIP)})
    headers = {"content-type": "application/json"}
    status, body = answered(guarded_function.wake(asked_2("POST", "/v1/uploads", asked, headers=headers)))
    assert status == 201, body
    upload = body["upload"]
    assert requests.put(upload["url"], data=CLIP, headers=upload["headers"], timeout=10).ok
    elsewhere = upload["url"].replace("test_2", "test_3")
    assert not requests.put(elsewhere, data=CLIP, headers=upload["headers"], timeout=10).ok
    bucket, key = guarded_function.place.settings.input_bucket, f"uploads/{upload['id']}/test_2.mp4"
    guarded_function.wake({"Records": [told_by_s3(bucket, key, len(CLIP))]})
    status, body = answered(guarded_function.wake(asked_2("GET", body["result"])))
    assert (status, body["answer"]) == (200, "mr_bean")


def test_a_job_from_the_queue_is_answered_to_whoever_waits(guarded_function: Guarded) -> None:
    settings = guarded_function.place.settings
    waiting = f"{settings.response_queue}-host-1"
    guarded_function.root("sqs").create_queue(QueueName=waiting)
    job = Job("1" * 32, JobKind.RECOGNISE, "a.jpg", time.time(), image=picture(RED), reply_to=waiting)
    failed = guarded_function.wake({"Records": [message(wire.dump_job(job))]})
    assert failed == {"batchItemFailures": []}
    assert len(guarded_function.letters(waiting)) == 1

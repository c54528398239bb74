"""Who may ask a function, and what it tells, to whom, of requests that went wrong."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from awake import RED, Place, answered, enrol, function_of, picture, place
from woken import KEY, Json, asked_1, asked_2

from facefleet.backends import connect
from facefleet.errors import Unavailable
from facefleet.settings import Settings

PHOTO = picture(RED)
TEXT = base64.b64encode(PHOTO).decode()
ASKED = [asked_1, asked_2]
Asked = Callable[..., Json]


@pytest.fixture
def here(tmp_path: Path) -> Place:
    settings = Settings(data=tmp_path)
    made = place(connect(settings), settings)
    enrol(made.backend.people)
    return made


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("headers", "expected", "code"),
    [
        ({"x-api-key": "wrong"}, 401, "key_required"),
        ({"x-api-key": ""}, 401, "key_required"),
        ({"x-api-key": "ü\ud800"}, 401, "key_required"),
        ({"x-api-key": "enrols-only"}, 403, "scope_missing"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("POST", "/v1/videos"), ("GET", f"/v1/videos/{'a' * 32}")])
def test_nobody_is_answered_without_a_key(
    here: Place, asked: Asked, headers: dict[str, str], expected: int, code: str, method: str, path: str
) -> None:
    status, problem = answered(here.wake(asked(method, path, PHOTO, headers=headers)))
    assert (status, problem["code"]) == (expected, code)


def test_a_function_without_keys_answers_nobody(here: Place) -> None:
    function = function_of(replace(here.outside, keys=dict), here.settings)
    status, problem = answered(replace(here, function=function).wake(asked_2("POST", "/", PHOTO)))
    assert (status, problem["code"]) == (403, "no_keys")


def test_whom_aws_itself_has_checked_needs_no_key(here: Place) -> None:
    arn = "arn:aws:iam::123456789012:user/pi"
    by_url, by_api = (
        asked_2("POST", "/", PHOTO, headers={"x-api-key": ""}),
        asked_1("POST", "/", PHOTO, headers={"x-api-key": ""}),
    )
    by_url["requestContext"]["authorizer"] = {"iam": {"userArn": arn}}
    by_api["requestContext"]["identity"]["userArn"] = arn
    assert [answered(here.wake(event))[0] for event in (by_url, by_api)] == [200, 200]


def test_health_needs_no_key(here: Place) -> None:
    status, body = answered(here.wake(asked_2("GET", "/healthz", headers={"x-api-key": ""})))
    assert (status, body["status"]) == (200, "alive")


@pytest.mark.parametrize("asked", ASKED)
def test_a_fault_of_ours_leaks_nothing(
    here: Place, asked: Asked, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("secret words")

    function = function_of(replace(here.outside, keys=broken), here.settings)
    answer = replace(here, function=function).wake(asked("POST", "/", PHOTO))
    assert answered(answer)[0] == 500
    assert "secret words" not in answer["body"]
    assert "secret words" in caplog.text
    assert failures(capsys) == [1.0]


def test_what_a_client_does_wrong_is_no_failure_of_ours(
    here: Place, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    here.wake(asked_2("POST", "/", PHOTO, headers={"x-api-key": "wrong"}))
    assert failures(capsys) == [0.0]
    assert "answered" not in caplog.text


def test_what_the_outside_does_wrong_is_logged_with_its_reason(here: Place, caplog: pytest.LogCaptureFixture) -> None:
    def away() -> None:
        raise Unavailable("the secret cannot be read")

    function = function_of(replace(here.outside, keys=away), here.settings)
    assert answered(replace(here, function=function).wake(asked_2("POST", "/", PHOTO)))[0] == 503
    assert "answered 503: the secret cannot be read" in caplog.text


def failures(capsys: pytest.CaptureFixture[str]) -> list[float]:
    """As the metrics tell."""
    return list(metrics_in(capsys.readouterr().out)["Failures"])


def metrics_in(printed: str) -> Json:
    """Of one call."""
    [found] = [told for told in map(json.loads, printed.splitlines()) if "_aws" in told]
    return dict(found)


def test_a_body_beyond_its_bound_is_refused(here: Place) -> None:
    function = function_of(here.outside, replace(here.settings, max_upload_bytes=100))
    status, problem = answered(replace(here, function=function).wake(asked_2("POST", "/", PHOTO)))
    assert (status, problem["code"]) == (413, "body_too_large")


def test_no_line_of_the_log_tells_a_name_a_key_or_an_image(
    here: Place, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    here.wake(asked_2("POST", "/", PHOTO, filename="secret.jpg"))
    [line] = [record for record in caplog.records if record.name == "facefleet-function"]
    assert (line.event, line.record, line.outcome) == ("http", "POST frame", "done")
    told = caplog.text + json.dumps(vars(line), default=str) + (printed := capsys.readouterr().out)
    assert not any(word in told for word in ("mr_bean", "lawyer", KEY, TEXT[:40], "secret"))
    assert (cold := metrics_in(printed))["ColdStart"] == [1.0]
    assert (cold["Records"], cold["Failures"]) == ([1.0], [0.0])
    here.wake(asked_2("POST", "/", PHOTO))
    assert metrics_in(capsys.readouterr().out)["ColdStart"] == [0.0]

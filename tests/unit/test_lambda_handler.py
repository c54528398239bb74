"""How the function comes up: nothing at import, everything when the runtime asks for its handler."""

import subprocess
import sys
from pathlib import Path

import pytest

from facefleet.errors import BadSettings
from lambda_tier.secret import keys_in

ROOT = Path(__file__).parent.parent.parent


def python(code: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": "", **env}, capture_output=True, text=True, timeout=120
    )


def test_what_s3_wakes_does_not_load_what_http_needs() -> None:
    seen = "sorted({'av', 'faiss', 'flask', 'onnx', 'scipy'} & set(sys.modules))"
    code = f"import sys, lambda_tier.handler as h; print({seen})"
    routing = "; print('aws_lambda_powertools.event_handler' in sys.modules)"
    done = python(code + routing)
    assert done.stdout.split("\n")[:2] == ["[]", "False"], done.stderr


def test_a_wrong_setting_ends_it_with_words() -> None:
    done = python("import lambda_tier.handler as h; h.handler", FACEFLEET_NONSENSE="1")
    assert "unknown setting FACEFLEET_NONSENSE" in done.stderr


def test_without_a_region_it_says_what_to_set() -> None:
    done = python("import lambda_tier.handler as h; h.handler", FACEFLEET_BACKEND="aws", HOME="/nonexistent")
    assert "AWS needs a region" in done.stderr


def test_a_fault_while_it_comes_up_is_not_taken_for_a_missing_handler() -> None:
    done = python("import lambda_tier.handler as h; h._handler = lambda: h.nonsense; h.handler")
    assert "RuntimeError: the handler could not be made" in done.stderr


def test_it_logs_from_the_level_that_is_set() -> None:
    seen = "[logging.getLogger(name).isEnabledFor(logging.INFO) for name in ('facefleet.x', 'lambda_tier.y')]"
    code = "import logging; from lambda_tier.telling import tell_as_json; tell_as_json('{}'); print(" + seen + ")"
    assert [python(code.format(level)).stdout for level in ("INFO", "WARNING")] == [
        "[True, True]\n",
        "[False, False]\n",
    ]


def test_another_attribute_is_none() -> None:
    import lambda_tier.handler

    with pytest.raises(AttributeError, match="nonsense"):
        lambda_tier.handler.nonsense  # noqa: B018  # to ask is enough


@pytest.mark.parametrize(
    ("secret", "keys"),
    [
        ('{"key": "abc", "scopes": "recognise+enrol"}', {"abc": {"recognise", "enrol"}}),
        ("abc:recognise,def:admin", {"abc": {"recognise"}, "def": {"recognise", "enrol", "admin"}}),
        ("", {}),
    ],
)
def test_keys_are_read_as_a_deployment_writes_them(secret: str, keys: dict[str, set[str]]) -> None:
    assert keys_in(secret) == keys


@pytest.mark.parametrize("secret", ["abc", '{"key": "abc"}', '{"key": "abc", "scopes": "everything"}'])
def test_a_secret_of_another_form_is_told_without_it(secret: str) -> None:
    with pytest.raises(BadSettings) as told:
        keys_in(secret)
    assert "abc" not in str(told.value)

"""What the function's log says of a call: which one it was, as who called it knows it."""

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from lambda_tier.telling import LOGGER, Teller

CALL = "0123456789abcdef" * 2


def client(custom: object) -> Any:
    return SimpleNamespace(custom=custom)


def line_of(teller: Teller, context: object, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """What it logs of a record of that call."""
    with teller.invocation(context), teller.record("s3", "r-1"):
        pass
    (handler,) = logging.getLogger(LOGGER).handlers
    return dict(json.loads(handler.format(caplog.records[-1])))


def test_a_line_names_the_call_as_the_relay_s_spool_does(caplog: pytest.LogCaptureFixture) -> None:
    context = SimpleNamespace(aws_request_id="q-1", client_context=client({"facefleet": {"call": CALL}}))
    teller = Teller(level="INFO")
    told = line_of(teller, context, caplog)
    assert (told["invocation"], told["call"]) == ("q-1", CALL)
    # The next call of the same process is another one's.
    assert "call" not in line_of(teller, SimpleNamespace(aws_request_id="q-2"), caplog)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "text",
        client(None),
        client("text"),
        client([1]),
        client({"facefleet": None}),
        client({"facefleet": "text"}),
        client({"facefleet": {}}),
        *(
            client({"facefleet": {"call": call}})
            for call in (None, 1, [CALL], {}, "", CALL * 2, f"{CALL}\n", "mr_bean")
        ),
    ],
)
def test_whatever_else_a_caller_sends_along_is_neither_logged_nor_in_the_way(
    sent: object, caplog: pytest.LogCaptureFixture
) -> None:
    told = line_of(Teller(level="INFO"), SimpleNamespace(aws_request_id="q-1", client_context=sent), caplog)
    assert told["invocation"] == "q-1" and "call" not in told

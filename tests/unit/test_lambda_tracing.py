"""Parts of a trace, as X-Ray's daemon receives them."""

import json
import socket
from collections.abc import Iterator

import pytest

from lambda_tier.telling import Teller
from lambda_tier.tracing import DAEMON, TRACE, trace

TRACED = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        monkeypatch.setenv(DAEMON, f"127.0.0.1:{listener.getsockname()[1]}")
        yield listener


def heard(daemon: socket.socket) -> dict[str, object]:
    head, _, part = daemon.recv(65_536).partition(b"\n")
    assert json.loads(head) == {"format": "json", "version": 1}
    found: dict[str, object] = json.loads(part)
    return found


def test_a_record_is_a_part_of_its_calls_trace(daemon: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACE, TRACED)
    with pytest.raises(ValueError), Teller(level="INFO").record("s3", "r-1", job="j-1"):
        raise ValueError("secret")
    part = heard(daemon)
    assert (part["trace_id"], part["parent_id"]) == ("1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8")
    assert part["annotations"] == {"event": "s3", "record": "r-1", "job": "j-1", "outcome": "internal_error"}
    assert part["fault"] is True
    assert "secret" not in json.dumps(part)
    assert float(str(part["start_time"])) <= float(str(part["end_time"]))


@pytest.mark.parametrize("traced", ["", TRACED.replace("Sampled=1", "Sampled=0"), "nonsense;=;"])
def test_a_call_that_is_not_traced_tells_nothing(
    daemon: socket.socket, monkeypatch: pytest.MonkeyPatch, traced: str
) -> None:
    monkeypatch.setenv(TRACE, traced)
    trace("record", 1.0, 2.0, {}, failed=False)
    monkeypatch.setenv(TRACE, TRACED)
    trace("last", 1.0, 2.0, {}, failed=False)
    assert heard(daemon)["name"] == "last"


@pytest.mark.parametrize("address", ["", "nowhere", "127.0.0.1:x", "127.0.0.1:99999", "127.0.0.1:9"])
def test_nobody_misses_a_part_that_is_lost(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv(TRACE, TRACED)
    monkeypatch.setenv(DAEMON, address)
    trace("record", 1.0, 2.0, {}, failed=False)

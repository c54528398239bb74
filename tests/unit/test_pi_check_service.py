"""`--check`: what it finds of the service and of the clock, over real sockets."""

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory
from standin import Said, StandIn, json_said, problem, raw

from pi_uploader import check as checking
from pi_uploader.check import check, everything
from pi_uploader.check_service import NOBODYS, clock, in_the_clear, service
from pi_uploader.findings import Finding
from pi_uploader.settings import Settings

#: Too long for a name, so that nobody is asked for it.
NOBODY = f"{64 * 'x'}.test"
#: What a service that is well answers, by path.
WELL = {
    "/healthz": json_said(200, {"status": "alive", "version": "1"}),
    "/readyz": json_said(200, {"failing": []}),
    NOBODYS: problem(404, "not_found"),
}


@pytest.fixture(autouse=True)
def pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Device, "pin_factory", MockFactory())


def serving(said: dict[str, Said]) -> StandIn:
    return StandIn(lambda asked: said.get(asked.path, Said(404, b"<html>not here</html>")))


def of_service(url: str, **more: Any) -> dict[str, Finding]:
    return {finding.check: finding for finding in service(Settings(url=url, **more))}


def test_the_clock_may_be_some_seconds_off() -> None:
    date = "Sun, 22 Nov 2026 05:00:00 GMT"
    assert clock(date, 1795323604.9).ok
    assert clock(date, 1795323595.1).ok
    late = clock(date, 1795323600 + 7200)
    assert (late.ok, late.detail) == (False, "2.0 hours ahead of the service's")
    assert "timedatectl" in late.next
    assert clock(date, 1795323600 - 10).detail == "10 s behind the service's"


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 99 Nov 2026 99:00:00 GMT"])
def test_a_service_that_tells_no_time_is_no_proof_of_the_clock(date: str | None) -> None:
    assert not clock(date, 0.0).ok


def test_a_service_that_is_well_is_well() -> None:
    with serving(WELL) as standin:
        findings = of_service(standin.url)
    assert list(findings) == ["service", "clock", "ready", "key"]
    assert all(f.ok and not f.next for f in findings.values())


def test_a_clock_that_is_off_is_told() -> None:
    def speak(connection: socket.socket) -> None:
        connection.recv(65_536)
        body = WELL["/healthz"].body
        head = f"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2015 05:00:00 GMT\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    with raw(speak) as url:
        findings = of_service(url)
    assert findings["service"].ok and not findings["clock"].ok
    assert findings["clock"].detail.endswith("days ahead of the service's")


def test_a_service_that_is_away_is_told_with_what_to_do() -> None:
    findings = of_service("http://127.0.0.1:9")
    assert {name: f.ok for name, f in findings.items()} == {"service": False, "clock": False}
    assert "Connection refused" in findings["service"].detail
    assert findings["service"].next.startswith("start facefleet on this machine")


def test_a_name_that_nobody_knows_is_told() -> None:
    assert f"the name {NOBODY} is not known" in of_service(f"http://{NOBODY}")["service"].next


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Said(200, b"<html>log in</html>"), "is not facefleet (200)"),
        (Said(404), "is not facefleet (404)"),
        (json_said(200, {"status": "UP"}), "is not facefleet (200)"),
        (Said(302, b"", {"Location": "https://elsewhere.test/"}), "sends us to https://elsewhere.test/"),
        (Said(403, b"this service has no keys"), "answers us 403"),
    ],
)
def test_another_web_server_is_no_facefleet_and_is_asked_for_nothing_more(answer: Said, told: str) -> None:
    with serving({**WELL, "/healthz": answer}) as standin:
        findings = of_service(standin.url)
    assert list(findings) == ["service", "clock"]
    assert not findings["service"].ok and told in findings["service"].detail


def test_what_keeps_a_service_from_answering_is_named() -> None:
    with serving({**WELL, "/readyz": json_said(503, {"failing": ["controller", "people"]})}) as standin:
        ready = of_service(standin.url)["ready"]
    assert not ready.ok and "controller, people" in ready.detail
    assert "facefleet up" in ready.next


@pytest.mark.parametrize(
    ("status", "key", "told"),
    [
        (401, "", "a key is needed, and none is set"),
        (401, "wrong", "our key is not taken"),
        (403, "right", "our key may not recognise"),
        (500, "right", "it does not say"),
    ],
)
def test_a_key_that_does_not_do_is_told(status: int, key: str, told: str) -> None:
    with serving({**WELL, NOBODYS: problem(status, "x", "so")}) as standin:
        finding = of_service(standin.url, api_key=key)["key"]
    assert not finding.ok and told in finding.detail and finding.next


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://10.0.0.7:8000", True),
        ("http://laptop.local", True),
        ("https://10.0.0.7", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
        ("http://localhost", False),
    ],
)
def test_a_key_in_the_clear_is_warned_of_beyond_this_machine(url: str, warned: bool) -> None:
    assert in_the_clear(url) is warned


def test_a_service_that_never_answers_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "SERVICE", 0.3)
    ended, started = threading.Event(), time.monotonic()
    with raw(lambda _: ended.wait(30)) as url:
        last = list(everything(Settings(url=url, data=str(tmp_path), camera="folder:nowhere"), None))[-1]
        ended.set()
    assert (last.check, last.ok, last.detail) == ("service", False, "no result within 0.3 s")
    assert time.monotonic() - started < 20


def test_scripts_get_json_and_an_exit_code(tmp_path: Path, photos: Path) -> None:
    said: list[str] = []
    with serving(WELL) as standin:
        well = Settings(url=standin.url, data=str(tmp_path), camera=f"folder:{photos}", free_bytes=0)
        assert check(well, said.append, as_json=True) == 0
    assert check(well, said.append, as_json=True) == 1
    first, second = (json.loads(words) for words in said)
    assert [set(row) for row in first] == [{"check", "ok", "detail", "next"}] * len(first)
    names = ["disk", "spool", "button", "leds", "camera", "video", "service", "clock", "ready", "key"]
    assert [row["check"] for row in first] == names
    assert [row["check"] for row in second if not row["ok"]] == ["service", "clock"]


def test_nothing_that_is_checked_sends_a_photo(tmp_path: Path, photos: Path) -> None:
    with serving(WELL) as standin:
        check(Settings(url=standin.url, data=str(tmp_path), camera=f"folder:{photos}"), lambda _: None, as_json=True)
    assert [(asked.method, asked.path) for asked in standin.asked] == [("GET", path) for path in WELL]

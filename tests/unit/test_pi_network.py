"""What the Pi client makes of a network that is slow, cut, or not to be trusted: it waits so long, and no longer."""

import socket
import ssl
import subprocess
import time
from itertools import repeat
from pathlib import Path

import pytest
from standin import StandIn, raw, result
from test_pi_door import IMAGE, ITEM, asking

from pi_uploader import door as doors
from pi_uploader.answers import Outcome
from pi_uploader.door import Away, Door
from pi_uploader.service import Service
from pi_uploader.settings import Settings

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def words_of(url: str) -> str:
    with pytest.raises(Away) as caught:
        asking(url)
    return str(caught.value)


def request_of(connection: socket.socket) -> None:
    """Reads what comes until the body is there."""
    data = b""
    while IMAGE not in data:
        data += connection.recv(65_536)


def saying(*parts: bytes, pause: float = 0.0):
    def speak(connection: socket.socket) -> None:
        request_of(connection)
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)

    return speak


@pytest.mark.parametrize(
    "head",
    [HEAD + b"Content-Length: 1000000000\r\n\r\n", HEAD + b"\r\n", CHUNKED],
    ids=["length", "until closed", "chunks"],
)
def test_an_answer_without_end_is_cut_off(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "MAX_BYTES", 300_000)
    part = b"10000\r\n" + b" " * 65_536 + b"\r\n" if head == CHUNKED else b" " * 65_536
    with raw(saying(head, *repeat(part, 200))) as url:
        assert "an answer without end" in words_of(url)


@pytest.mark.parametrize("head", [HEAD + b"Content-Length: 1000\r\n\r\n", CHUNKED], ids=["length", "chunks"])
def test_an_answer_that_comes_drop_by_drop_is_cut_off(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "WHOLE", 0.5)
    drop = b"1\r\n \r\n" if head == CHUNKED else b" "
    started = time.monotonic()
    with raw(saying(head, *repeat(drop, 300), pause=0.05)) as url:
        assert "an answer without end" in words_of(url)
    assert time.monotonic() - started < 5


def test_an_answer_that_does_not_come_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "TIMEOUT", (5.0, 0.3))
    with raw(saying(b"", pause=3.0)) as url:
        assert "cannot be reached (timed out)" in words_of(url)


@pytest.mark.parametrize(
    "parts",
    [(), (b"nonsense\r\n\r\n",), (HEAD + b'Content-Length: 100\r\n\r\n{"id"',), (CHUNKED + b"zz\r\n",), (HEAD[:20],)],
    ids=["nothing", "nonsense", "half", "bad chunk", "half a head"],
)
def test_an_answer_that_is_cut_short_keeps_the_capture(parts: tuple[bytes, ...]) -> None:
    with raw(saying(*parts)) as url:
        assert words_of(url).endswith(("is the network there?", "or a login page?"))


def test_a_connection_that_is_reset_keeps_the_capture() -> None:
    def reset(connection: socket.socket) -> None:
        request_of(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with raw(reset) as url:
        assert "cannot be reached (Connection reset by peer)" in words_of(url)


def test_a_slow_network_takes_a_photo_that_needs_longer_than_connecting_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "TIMEOUT", (0.5, 30.0))
    # More than the kernel takes ahead.
    image = b"x" * 30_000_000
    body = result("Mary").body

    def slowly(connection: socket.socket) -> None:
        connection.settimeout(5)
        left = len(image)
        while left > 0:
            left -= len(connection.recv(262_144))
            time.sleep(0.01)
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    with raw(slowly) as url:
        started = time.monotonic()
        answer = Service(Door(Settings(url=url))).ask(ITEM, image)
    assert answer.outcome is Outcome.KNOWN
    assert time.monotonic() - started > 1.0


def test_nobody_there_and_no_such_name_are_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert words_of(f"http://127.0.0.1:{port}").startswith(
        f"http://127.0.0.1:{port} cannot be reached (Connection refused)"
    )
    # RFC 6761: a name that never resolves.
    assert "http://pi.invalid cannot be reached (" in (words := words_of("http://pi.invalid"))
    assert "object at" not in words


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of 127.0.0.1, signed by itself, its key beside it."""
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    whose = ["-subj", "/CN=pi", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    command = ["openssl", "req", *kind, *whose, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return tmp_path / "cert.pem"


def test_a_certificate_is_trusted_where_its_authority_is_named_and_nowhere_else(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with StandIn(result("Mary"), tls=context) as standin:
        words = words_of(standin.url)
        assert "certificate verify failed" in words and words.endswith("the authority that signed its certificate?")
        assert standin.asked == []
        # Whatever bundle the desktop's environment names.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ssl.get_default_verify_paths().cafile or "")
        door = Door(Settings(url=standin.url, ca_file=str(certificate)))
        assert Service(door).ask(ITEM, IMAGE).outcome is Outcome.KNOWN

"""The servers that benches put before a function say what is wrong with themselves, and nothing of who hangs up."""

from http.server import BaseHTTPRequestHandler

import pytest

from bench.runtime_api import Server


@pytest.mark.parametrize(
    ("error", "is_told"), [(ConnectionResetError, False), (BrokenPipeError, False), (KeyError, True)]
)
def test_a_client_that_hangs_up_is_no_traceback(
    capsys: pytest.CaptureFixture[str], error: type[Exception], is_told: bool
) -> None:
    with Server(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        try:
            raise error
        except error:
            server.handle_error(None, ("127.0.0.1", 1))
    assert ("Traceback" in capsys.readouterr().err) is is_told

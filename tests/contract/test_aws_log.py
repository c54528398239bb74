"""What a log may hold: whatever its level, no image, nobody's encoding, and no key to the account."""

import pytest

from .conftest import Elsewhere, OpenBackend

pytestmark = pytest.mark.parametrize("settings", ["aws"], indirect=True)

WORK = """
import base64, logging
from facefleet.entry import log_to
from facefleet.model import Box, Person, Photo
os.dup2(1, 2)
log_to("DEBUG")
logging.getLogger("facefleet").debug("we tell %s", "all")
queue = connect(settings).requests
queue.send("AN-IMAGE-IN-BASE64")
queue.receive(wait=20.0)
backend.blobs.put("in/a.jpg", b"AN-IMAGE-AS-IT-IS")
backend.people.put(Person("paul", "Paul", photos=(Photo("1", Box(0, 0, 9, 9), b"ENCODING" * 64),)))
backend.people.get("paul")
print("done", flush=True)
"""


def test_a_debug_log_holds_no_image_no_encoding_and_no_key(
    open_backend: OpenBackend, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_backend()
    monkeypatch.setenv("AWS_SESSION_TOKEN", "A-SESSION-TOKEN")
    log = elsewhere(WORK).communicate(timeout=60)[0]
    assert "we tell all" in log and log.endswith("done\n")
    # The last one is the encoding's beginning, as base64 has it on the wire.
    for secret in ("AN-IMAGE", "A-SESSION-TOKEN", "ENCODING", "RU5DT0RJTkd"):
        assert secret not in log

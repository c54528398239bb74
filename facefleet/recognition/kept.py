"""Networks made of other people's files once and kept in a folder: each is taken whole, or not at all."""

import logging
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from facefleet.errors import Unavailable
from facefleet.recognition.runtime import Session, open_session

log = logging.getLogger(__name__)

#: What is made of the same files may change. Another number, and every kept file is made anew.
FORM = "3"
#: Ends a kept file, before the SHA-256 of all that comes before: to ONNX, one more entry of `metadata_props`
#: (onnx.proto).
SEAL = b"\x72\x4a\x0a\x06sha256\x12\x40"
#: To make them takes about a second. Beyond this it hangs, and a worker that waits serves nobody.
MAKING_SECONDS = 60.0


def sealed(data: bytes) -> bytes:
    """A network's file with its own checksum at the end; still a network's file."""
    return data + SEAL + sha256(data).hexdigest().encode()


def facts(source: str, **more: str) -> dict[str, str]:
    """What a kept file says of itself: the checksum of what it was made of, and more."""
    return {"source": source, "form": FORM, **more}


def open_kept(path: Path, source: str) -> Session | None:
    """The network that a file holds; None where there is none, or one made of another source or in another form.

    Nor is a damaged file taken, however little: it would do its work, and not as others do.
    """
    if not path.is_file():
        return None
    try:
        data = path.read_bytes()
        session = open_session(data) if sealed(data[: -len(sealed(b""))]) == data else None
    except Exception as e:  # ONNX Runtime's errors have no other class in common
        log.info("%s cannot be used: %s", path, e)
        return None
    return session if session and facts_of(session).items() >= facts(source).items() else None


def facts_of(session: Session) -> dict[str, str]:
    return dict(session.get_modelmeta().custom_metadata_map)


def make(folder: Path) -> None:
    """Makes all of them; raises `Unavailable`.

    In a process of its own: what that imports would otherwise stay in the worker's memory.
    """
    command = [sys.executable, "-m", "facefleet.recognition.convert", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603  # our own command, and no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=MAKING_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Unavailable(f"the conversion of dlib's weights did not end well: {e}") from e
    if done.returncode:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").rsplit("\n", 1)[-1]
        raise Unavailable(f"dlib's weights were not converted: {reason}")

"""What is made of other people's files once and kept in a folder: each file is taken whole, or not at all.

The folder is all that a worker needs: where it is complete, the packages that it was made of need not be installed.
"""

import logging
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from facefleet.errors import Unavailable
from facefleet.recognition.runtime import Session, open_session

log = logging.getLogger(__name__)

#: What is made of the same files may change. Another number, and every kept file is made anew.
FORM = "3"
#: Ends a kept file, before the SHA-256 of all that comes before: to ONNX, one more entry of `metadata_props`
#: (onnx.proto).
SEAL = b"\x72\x4a\x0a\x06sha256\x12\x40"
SEAL_BYTES = len(SEAL) + 64
#: Bytes that are read at a time.
PIECE = 1 << 20
#: To make them takes about a second. Beyond this it hangs, and a worker that waits serves nobody.
MAKING_SECONDS = 60.0


def sealed(data: bytes) -> bytes:
    """A file with its own checksum at the end: still a network's file, or one of dlib's, which read no further."""
    return data + SEAL + sha256(data).hexdigest().encode()


def is_whole(path: Path) -> bool:
    """Whether there is a sealed file, undamaged; read piece by piece, for a network's has 22 MB."""
    try:
        with path.open("rb") as file:
            digest, left = sha256(), os.fstat(file.fileno()).st_size - SEAL_BYTES
            while left > 0 and (piece := file.read(min(left, PIECE))):
                digest.update(piece)
                left -= len(piece)
            return file.read() == SEAL + digest.hexdigest().encode()
    except FileNotFoundError:
        return False
    except OSError as e:
        log.info("%s cannot be read: %s", path, e)
        return False


def facts(source: str, **more: str) -> dict[str, str]:
    """What a kept file says of itself: the checksum of what it was made of, and more."""
    return {"source": source, "form": FORM, **more}


def open_kept(path: Path, source: str | None) -> Session | None:
    """The network that a file holds; None where there is none, or one made of another source or in another form.

    `source`: None takes one of any source. A damaged file is not taken, however little: it would do its work, and not
    as others do.
    """
    if not is_whole(path):
        return None
    try:
        # By its name: from memory it takes a fifth longer, and 22 MB more at its peak.
        session = open_session(path)
    except Exception as e:  # ONNX Runtime's errors have no other class in common
        log.info("%s cannot be used: %s", path, e)
        return None
    found = facts_of(session)
    return session if found.items() >= facts(source or found.get("source", "")).items() else None


def keep(path: Path, data: bytes) -> Path:
    """The file that was written, whole or not at all; raises `Unavailable`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside, then renamed: another worker that starts now reads the old file or the new one, never half of one.
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            making = Path(file.name)
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                making.chmod(0o644)
                making.replace(path)
            except OSError:
                making.unlink(missing_ok=True)
                raise
    except OSError as e:
        raise Unavailable(f"{path} cannot be written ({e.strerror})") from e
    return path


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

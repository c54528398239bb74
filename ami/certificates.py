"""`python -m ami.certificates restore|keep`: Caddy's storage, carried from one web machine to the next.

It lies in the state bucket, as the blob `tls/caddy.zip`: certificates, their keys, the account with Let's Encrypt, and
Caddy's own authority, whom clients trust and who therefore must not change. Only the web tier's role may read it. The
authority's public root is the blob `tls/root.crt`.
"""

import argparse
import json
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ami.archive import pack, unpack
from ami.caddyfile import STORAGE
from facefleet.entry import entry_point
from facefleet.errors import Conflict, Unavailable
from facefleet.settings import Settings

log = logging.getLogger(__name__)

KEPT, ROOT = "tls/caddy.zip", "tls/root.crt"
#: Caddy's own authority in its storage, and where this process notes what is kept.
OWN_ROOT, NOTE = "pki/authorities/local/root.crt", ".kept.json"
PIDFILE = Path("/run/facefleet-caddy/pid")
#: Rounds of one `keep`: Caddy may write while it is read.
ROUNDS = 5
TIMEOUT = 10
MISSING = ("NoSuchKey", "404")
CHANGED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


@dataclass(frozen=True, slots=True)
class Note:
    """Which version of the blob the storage was made of or kept as, and what was in it."""

    tag: str | None = None
    digest: str = ""


class Bucket:
    """Raises `Unavailable`, and `Conflict` where somebody else has kept theirs meanwhile."""

    def __init__(self, s3: Any, name: str) -> None:
        self._s3, self._name = s3, name

    def get(self) -> tuple[bytes, str] | None:
        """What is kept, and its tag; None where nothing is."""
        try:
            found = self._s3.get_object(Bucket=self._name, Key=KEPT)
            return found["Body"].read(), found["ETag"]
        except ClientError as e:
            if code_of(e) in MISSING:
                return None
            raise self._away(e) from e
        except BotoCoreError as e:
            raise self._away(e) from e

    def put(self, data: bytes, tag: str | None) -> str:
        """The tag that it has now; None: where nothing is kept yet."""
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        try:
            return str(self._s3.put_object(Bucket=self._name, Key=KEPT, Body=data, **condition)["ETag"])
        except ClientError as e:
            # With If-Match, S3's word where nothing lies any more is that.
            if code_of(e) in CHANGED + MISSING:
                raise Conflict(f"another machine has kept its {KEPT} meanwhile") from e
            raise self._away(e) from e
        except BotoCoreError as e:
            raise self._away(e) from e

    def publish(self, root: bytes) -> None:
        try:
            self._s3.put_object(Bucket=self._name, Key=ROOT, Body=root, ContentType="application/x-pem-file")
        except (ClientError, BotoCoreError) as e:
            raise self._away(e) from e

    def _away(self, error: Exception) -> Unavailable:
        return Unavailable(f"certificates cannot be carried by the bucket {self._name}: {error}")


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def restore(bucket: Bucket, folder: Path) -> None:
    """What is kept, in the folder; left as it is where nothing is kept, or nothing newer. Raises `ServiceError`s.

    Without an answer there is no going on: Caddy would make itself another authority.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Caddy makes a lock here for each certificate that it gets, which is what tells that there is something to keep.
    (folder / "locks").mkdir(mode=0o700, exist_ok=True)
    kept = bucket.get()
    if kept is None:
        log.info("no certificates are kept yet")
        return
    data, tag = kept
    if _noted(folder).tag != tag:
        unpack(data, folder)
        _note(folder, Note(tag, _digest(pack(folder))))
        log.info("certificates are restored")


def keep(bucket: Bucket, folder: Path, restart: Callable[[], None]) -> None:
    """Has the folder kept, if it has changed; raises `ServiceError`s.

    Where another machine was first, its certificates are taken over, and Caddy is to start again.
    """
    for _ in range(ROUNDS):
        data, noted = pack(folder), _noted(folder)
        if not data or _digest(data) == noted.digest:
            return
        try:
            tag = bucket.put(data, noted.tag)
        except Conflict:
            if _is_kept(bucket, folder, data):
                continue
            _take_over(bucket, folder, restart)
            return
        _settle(bucket, folder, Note(tag, _digest(data)))
        log.info("certificates are kept")


def _is_kept(bucket: Bucket, folder: Path, data: bytes) -> bool:
    """Whether just this is kept: somebody was killed before they noted it."""
    kept = bucket.get()
    if kept is None:
        # Deleted by hand: it is as if nothing had ever been kept.
        _note(folder, Note())
        return True
    if kept[0] != data:
        return False
    _settle(bucket, folder, Note(kept[1], _digest(data)))
    return True


def _take_over(bucket: Bucket, folder: Path, restart: Callable[[], None]) -> None:
    log.warning("another machine has kept its certificates first: Caddy starts again with those")
    restore(bucket, folder)
    restart()


def _settle(bucket: Bucket, folder: Path, note: Note) -> None:
    root = folder / OWN_ROOT
    if root.is_file():
        bucket.publish(root.read_bytes())
    # Last: what is not noted is done again.
    _note(folder, note)


def _noted(folder: Path) -> Note:
    with suppress(OSError, ValueError, TypeError):
        return Note(**json.loads((folder / NOTE).read_text()))
    return Note()


def _note(folder: Path, note: Note) -> None:
    (folder / NOTE).write_text(json.dumps(asdict(note)))


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def restart_caddy() -> None:
    """It is ended in order, and systemd starts it again."""
    with suppress(OSError, ValueError):
        os.kill(int(PIDFILE.read_text()), signal.SIGTERM)


@entry_point
def main(settings: Settings) -> None:
    parser = argparse.ArgumentParser(prog="ami.certificates", description="Carries Caddy's certificates over.")
    parser.add_argument("verb", choices=("restore", "keep"))
    config = Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"total_max_attempts": 3})
    bucket = Bucket(boto3.client("s3", config=config), settings.state_bucket)
    if parser.parse_args().verb == "restore":
        restore(bucket, Path(STORAGE))
    else:
        keep(bucket, Path(STORAGE), restart_caddy)


if __name__ == "__main__":
    main()

"""A deployment's public URL, as anybody on the Internet meets it: whether it is ready, and answers an upload."""

import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from facefleet.errors import ServiceError
from facefleet.settings import is_loopback

#: Seconds to connect and to answer; who asks comes again.
TIMEOUT = (3.0, 10.0)
#: Pixels, by as many: no face is in it, and no machine has seen it before.
SIDE = 96


@dataclass
class Public:
    """`root`: the file of a certificate to trust, None where everybody's will do. It and the key are asked for when
    they are needed: both come to be while a deployment does."""

    url: str
    key: Callable[[], str]
    root: Callable[[], Path | None]
    _about: str = ""
    _upload: str = ""
    _session: requests.Session = field(default_factory=requests.Session)

    def trouble(self, proof: str) -> str:
        """Why it is not ready; with `proof`, why an upload is not answered yet, one for each proof. Empty: all is well.

        Never waits long: who asks, asks again.
        """
        try:
            ready = self._call("GET", "readyz")
            if not ready.ok:
                return f"{self.url} is not ready ({ready.status_code}: {in_short(ready)})"
            return self._trouble_of_upload(proof) if proof else ""
        except requests.RequestException as e:
            return f"{self.url} does not answer ({root_of(e)})"
        except ServiceError as e:
            return str(e)

    def _trouble_of_upload(self, proof: str) -> str:
        if proof != self._about or not self._upload:
            answer = self._call("POST", "v1/recognitions", data=picture(), headers=self._headers())
            if not answer.ok:
                return f"an upload is refused ({answer.status_code}: {in_short(answer)})"
            self._about, self._upload = proof, answer.headers["Location"]
        found = self._call("GET", self._upload, headers={"x-api-key": self.key()})
        if found.status_code == requests.codes.accepted:
            return "an upload waits for a worker"
        if not found.ok or found.json()["status"] != "done":
            self._upload = ""
            return f"an upload is not answered ({found.status_code}: {in_short(found)})"
        return ""

    def _headers(self) -> dict[str, str]:
        return {"x-api-key": self.key(), "Content-Type": "image/png", "Prefer": "respond-async"}

    def _call(self, method: str, path: str, **options: object) -> requests.Response:
        root = self.root()
        # A company's proxy does not know our loopback.
        self._session.trust_env = not is_loopback(urlsplit(self.url).hostname or "")
        # A new connection each time: one that is kept leads to the old machine, whoever has the address now.
        headers = {"Connection": "close", **options.pop("headers", {})}  # type: ignore[dict-item]
        return self._session.request(
            method,
            urljoin(self.url, path),
            timeout=TIMEOUT,
            verify=True if root is None else str(root),
            headers=headers,
            **options,  # type: ignore[arg-type]
        )


def picture() -> bytes:
    """A PNG of noise, another each time: no cache knows it."""
    rows = b"".join(b"\0" + random.randbytes(SIDE) for _ in range(SIDE))  # noqa: S311  # no secret is made of it
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def in_short(answer: requests.Response) -> str:
    return " ".join(answer.text.split())[:200]


def root_of(error: BaseException) -> str:
    """What lies at the bottom of requests' many layers."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error)[:200]

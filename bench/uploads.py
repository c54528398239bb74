"""The uploads of the course's load generators: `POST /`, a thread and a connection each, no content type."""

import itertools
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import SSLContext

#: No upload waits so many seconds, unless its answer is lost.
PATIENCE = 120.0
BOUNDARY = "facefleet-bench"
#: How the course's file names begin.
STEM = "test_"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@dataclass(frozen=True)
class Upload:
    """A request's body, and the answer that is right."""

    body: bytes
    answer: str


@dataclass(frozen=True)
class Burst:
    """Wall time until the last answer. `wrong`: other answers than the right ones; `lost`: uploads without any."""

    seconds: float
    wrong: int
    lost: int


def bursts(probes: Sequence[tuple[bytes, str]], count: int) -> Iterator[list[Upload]]:
    """So many uploads each time, under the same names, and no image like one before, so that no cache knows it."""
    for number in itertools.count():
        yield [_upload(f"{STEM}{i:02}", b"%d-%d" % (number, i), *probes[i % len(probes)]) for i in range(count)]


def send(host: str, uploads: Sequence[Upload], *, tls: SSLContext | None = None) -> Burst:
    """All at once."""
    return send_some(host, uploads, len(uploads), tls=tls)


def send_some(host: str, uploads: Sequence[Upload], at_once: int, *, tls: SSLContext | None = None) -> Burst:
    """All of them, so many at a time."""
    started = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(partial(post, host, tls=tls), uploads))
    return judged(time.perf_counter() - started, uploads, answers)


def judged(seconds: float, uploads: Sequence[Upload], answers: Sequence[str | None]) -> Burst:
    wrong = sum(answer not in (None, upload.answer) for answer, upload in zip(answers, uploads, strict=True))
    return Burst(seconds, wrong, answers.count(None))


def _upload(stem: str, tail: bytes, image: bytes, person: str) -> Upload:
    """What stands behind the end of an image makes it another file with the same picture."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="inputFile"; filename="{stem}.jpg"\r\n\r\n'
    return Upload(head.encode() + image + tail + f"\r\n--{BOUNDARY}--\r\n".encode(), f"{stem}:{person}")


def post(host: str, upload: Upload, *, tls: SSLContext | None = None) -> str | None:
    """The answer; None where there is none. `tls`: whom to trust, where the host is spoken to encrypted."""
    with closing(_connection(host, tls)) as connection:
        try:
            connection.request("POST", "/", upload.body, HEADERS)
            response = connection.getresponse()
            body = response.read()
        except (OSError, HTTPException):
            return None
    return body.decode() if response.status == HTTPStatus.OK else None


def _connection(host: str, tls: SSLContext | None) -> HTTPConnection:
    if tls is None:
        return HTTPConnection(host, timeout=PATIENCE)
    return HTTPSConnection(host, timeout=PATIENCE, context=tls)

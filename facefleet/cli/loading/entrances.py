"""The doors that uploads go in by, over HTTP. Each is for one thread, and gives an answer or raises `NoAnswer`."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol
from uuid import uuid4

import pybase64 as base64

from facefleet.cli.loading.answer import MOST_WORDS, STRANGE, UNREADABLE, Answer, NoAnswer, of_result
from facefleet.cli.loading.distinct import distinct
from facefleet.cli.loading.exchange import Exchange, Reply
from facefleet.cli.loading.patience import Patience
from facefleet.cli.loading.work import Upload
from facefleet.wire import Json

#: Seconds until an answer that comes later is looked for, each time longer than before, up to the last.
FIRST_LOOK, LONGER, LAST_LOOK = 0.25, 1.5, 1.0
#: 504 too: a photo's upload that waits too long is told where its answer will be.
LATER = (HTTPStatus.ACCEPTED, HTTPStatus.GATEWAY_TIMEOUT)
#: What stands in the classic answer before the name.
FULL_ANSWER = "inputFile"
CLASSIC_FIELDS = (FULL_ANSWER, "myfile")
CLIPS, PHOTOS = "/v1/videos", "/v1/recognitions"


class Entrance(Protocol):
    def send(self, upload: Upload, patience: Patience) -> Answer: ...

    def close(self) -> None: ...


class V1:
    """`POST /v1/recognitions` or `/v1/videos`, as a client of ours would: the answer at once, or fetched later."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def close(self) -> None:
        self._exchange.close()

    def send(self, upload: Upload, patience: Patience) -> Answer:
        files = {"file": (upload.name, read(upload))}
        return followed(self._exchange, self._exchange.ask("POST", _path(upload), patience, files=files), patience)


class Classic:
    """`POST /` as the course's load generators do: a connection each, and a part without a content type."""

    def __init__(self, exchange: Exchange, field: str) -> None:
        self._exchange, self._field = exchange, field

    def close(self) -> None:
        self._exchange.close()

    def send(self, upload: Upload, patience: Patience) -> Answer:
        files = {self._field: (upload.name, read(upload))}
        reply = self._exchange.ask("POST", "", patience, files=files)
        text = _good(reply).body.decode(errors="replace").strip()
        if self._field != FULL_ANSWER:
            return Answer(_word(text), was_cached=reply.was_cached)
        stem, colon, name = text.partition(":")
        if not colon or stem != upload.stem:
            raise NoAnswer(STRANGE, f"the answer to {upload.name} is {text[:MOST_WORDS]!r}")
        return Answer(_word(name), was_cached=reply.was_cached)


class Function:
    """`POST /` with JSON, as the course's function of 2025 takes it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def close(self) -> None:
        self._exchange.close()

    def send(self, upload: Upload, patience: Patience) -> Answer:
        request_id, content = uuid4().hex, base64.b64encode_as_string(read(upload))
        asked = {"request_id": request_id, "content": content, "filename": upload.name}
        body = _good(self._exchange.ask("POST", "", patience, json=asked)).json()
        name, attributes = body.get("result"), body.get("attributes")
        if body.get("request_id") != request_id or not isinstance(name, str):
            raise NoAnswer(STRANGE, f"this answers something else: {str(body)[:MOST_WORDS]}")
        return Answer(_word(name), attributes if isinstance(attributes, dict) else None, request_id)


class Presigned:
    """`POST /v1/uploads`, the file to the bucket by the address that this gives, then word that it lies there."""

    def __init__(self, exchange: Exchange, open_bucket: Callable[[str], Exchange]) -> None:
        self._exchange, self._open_bucket = exchange, open_bucket
        self._bucket: Exchange | None = None

    def close(self) -> None:
        self._exchange.close()
        if self._bucket is not None:
            self._bucket.close()

    def send(self, upload: Upload, patience: Patience) -> Answer:
        data = read(upload)
        asked = {"filename": upload.name, "bytes": len(data)}
        granted = _good(self._exchange.ask("POST", "/v1/uploads", patience, json=asked)).json()
        try:
            upload_id = str(granted["upload"]["id"])
            self._put(granted["upload"], data, patience)
        except (LookupError, TypeError, AttributeError) as e:
            raise NoAnswer(STRANGE, "no address to send the file to: is it a facefleet that answers there?") from e
        reply = self._exchange.ask("POST", _path(upload), patience, json={"upload": upload_id})
        return followed(self._exchange, reply, patience)

    def _put(self, grant: Json, data: bytes, patience: Patience) -> None:
        url, headers = str(grant["url"]), dict(grant["headers"])
        if self._bucket is None:
            # Without our key, which is not the bucket's business.
            self._bucket = self._open_bucket(url)
        _good(self._bucket.ask(str(grant["method"]), url, patience, data=data, headers=headers))


def followed(exchange: Exchange, reply: Reply, patience: Patience) -> Answer:
    """The answer that the reply has, or that will lie where it says."""
    pause, where = FIRST_LOOK, reply.headers.get("Location")
    while reply.status in LATER and where:
        patience.pause(pause)
        pause = min(pause * LONGER, LAST_LOOK)
        reply = exchange.ask("GET", where, patience)
    return of_result(_good(reply).json(), was_cached=reply.was_cached)


def read(upload: Upload) -> bytes:
    try:
        data = upload.file.read_bytes()
    except OSError as e:
        raise NoAnswer(UNREADABLE, f"{upload.file.name} cannot be read: {e.strerror}") from e
    return distinct(data, upload.mark) if upload.mark else data


def _path(upload: Upload) -> str:
    return CLIPS if upload.is_clip else PHOTOS


def _good(reply: Reply) -> Reply:
    if not reply.is_good:
        raise reply.refusal()
    return reply


def _word(text: str) -> str:
    """A name, on one line."""
    return " ".join(text.split())[:MOST_WORDS]

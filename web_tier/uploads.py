"""The image or clip out of a request, in any of the shapes that clients send."""

import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pybase64 as base64
from flask import request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from facefleet.clipfile import kind_of
from facefleet.imagefile import check
from facefleet.keys import clean_filename
from facefleet.problems import Problem
from web_tier.probe import Probe


@dataclass(frozen=True, slots=True)
class Form:
    """How files of a kind come: `field` is what JSON and media types call them, `check` looks at their first bytes."""

    field: str
    word: str
    example: str
    check: Callable[[bytes], object]


def images(max_pixels: int) -> Form:
    return Form("image", "image", "a.jpg", partial(check, max_pixels=max_pixels))


CLIPS = Form("video", "clip", "a.mp4", kind_of)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that its client has put where `POST /v1/uploads` said, instead of sending it here."""

    id: str


def probe_of(upload: FileStorage, max_pixels: int) -> Probe:
    """A multipart part; its content type, which many clients leave out, is not looked at."""
    return _probe_of_part(upload, images(max_pixels))


def probe_of_request(max_pixels: int) -> Probe:
    """`/v1`: multipart field `file`, an `image/*` body, or JSON `{"image": "<base64>", "filename": …}`."""
    sent = file_of_request(images(max_pixels))
    if isinstance(sent, Upload):
        raise Problem(400, "no_file", "send the image itself: an upload cannot be enrolled")
    return sent


def file_of_request(form: Form) -> Probe | Upload:
    """The file, in any of the shapes above, or what JSON of the shape `{"upload": "<id>"}` names instead."""
    kind = request.mimetype
    if kind == "multipart/form-data":
        part = request.files.get("file")
        if part is None:
            raise Problem(400, "no_file", f"send the {form.word} as a file in the multipart field 'file'")
        return _probe_of_part(part, form)
    if kind.startswith(f"{form.field}/") or kind == "application/octet-stream":
        return _checked(request.args.get("filename", ""), _body(), form)
    if kind == "application/json":
        return _file_of_json(json_object(), form)
    raise Problem(415, "unsupported_body", f"send multipart/form-data, {form.field}/* as the body, or application/json")


def _probe_of_part(part: FileStorage, form: Form) -> Probe:
    with part.stream:
        return _checked(part.filename or "", part.read(), form)


def _file_of_json(body: dict[str, Any], form: Form) -> Probe | Upload:
    if isinstance(upload_id := body.get("upload"), str):
        return Upload(upload_id)
    text, filename = body.get(form.field), body.get("filename", "")
    if not isinstance(text, str) or not isinstance(filename, str):
        raise Problem(400, "no_file", f'send {{"{form.field}": "<base64>", "filename": "{form.example}"}}')
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(400, "bad_base64", f"the field '{form.field}' is not base64") from None
    return _checked(filename, data, form)


def json_object(*, may_be_empty: bool = False) -> dict[str, Any]:
    """The request's body; a problem 400 unless it is a JSON object, or nothing where that will do."""
    data = _body()
    if may_be_empty and not data:
        return {}
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Problem(400, "bad_json", "send a JSON object")
    return body


def _body() -> bytes:
    """The whole body. One of unknown length is cut at the limit by Flask, and would pass as a damaged image.

    So would one whose client went away in the middle; under an `Idempotency-Key`, the whole image, sent again, would be
    another request than that.
    """
    body = request.get_data(cache=False)
    if request.content_length is None and len(body) >= (request.max_content_length or len(body) + 1):
        raise RequestEntityTooLarge
    if len(body) < (request.content_length or 0):
        raise Problem(400, "malformed_request", "a part of the request's body did not arrive: send it again")
    return body


def _checked(filename: str, data: bytes, form: Form) -> Probe:
    form.check(data)
    return Probe(clean_filename(filename), data)

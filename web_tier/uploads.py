"""The image out of a request, in any of the shapes that clients send."""

import binascii
import json
from typing import Any

import pybase64 as base64
from flask import request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from facefleet.imagefile import check
from facefleet.keys import clean_filename
from web_tier.probe import Probe
from web_tier.problems import Problem


def probe_of(upload: FileStorage, max_pixels: int) -> Probe:
    """A multipart part; its content type, which many clients leave out, is not looked at."""
    with upload.stream:
        return _checked(upload.filename or "", upload.read(), max_pixels)


def probe_of_request(max_pixels: int) -> Probe:
    """`/v1`: multipart field `file`, an `image/*` body, or JSON `{"image": "<base64>", "filename": …}`."""
    kind = request.mimetype
    if kind == "multipart/form-data":
        upload = request.files.get("file")
        if upload is None:
            raise Problem(400, "no_file", "send the image as a file in the multipart field 'file'")
        return probe_of(upload, max_pixels)
    if kind.startswith("image/") or kind == "application/octet-stream":
        return _checked(request.args.get("filename", ""), _body(), max_pixels)
    if kind == "application/json":
        return _probe_of_json(json_object(), max_pixels)
    raise Problem(415, "unsupported_body", "send multipart/form-data, an image/* body, or application/json")


def _probe_of_json(body: dict[str, Any], max_pixels: int) -> Probe:
    image, filename = body.get("image"), body.get("filename", "")
    if not isinstance(image, str) or not isinstance(filename, str):
        raise Problem(400, "no_file", 'send {"image": "<base64>", "filename": "a.jpg"}')
    try:
        data = base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(400, "bad_base64", "the field 'image' is not base64") from None
    return _checked(filename, data, max_pixels)


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


def _checked(filename: str, image: bytes, max_pixels: int) -> Probe:
    check(image, max_pixels=max_pixels)
    return Probe(clean_filename(filename), image)

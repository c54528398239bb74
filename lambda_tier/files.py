"""The image or clip out of a request, in any of the shapes in which cameras, scripts and API Gateway send one. Pure."""

import binascii
import json
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message
from email.utils import collapse_rfc2231_value

import pybase64 as base64

from facefleet import clipfile, keys
from facefleet.imagefile import check
from facefleet.model import JobKind
from facefleet.problems import Problem
from facefleet.wire import GARBAGE, Json
from lambda_tier.asked import Request

#: What the systems that are out there call the field with the file's base64.
FIELDS = ("image", "video", "content", "frame", "file", "body")
#: Fields of a form, the first of these that there is; else any that holds a file.
PARTS = ("file", "image", "video", "inputFile", "myfile")
MAX_PARTS = 20
HOW = 'send the file as the body, as multipart/form-data, or as JSON {"image": "<base64>", "filename": "a.jpg"}'


@dataclass(frozen=True, slots=True)
class File:
    filename: str
    data: bytes

    @property
    def kind(self) -> JobKind:
        return JobKind.VIDEO if clipfile.is_clip(self.data) else JobKind.RECOGNISE


def file_of(request: Request) -> File:
    """Raises the problem that says how to send one."""
    kind, body = request.content_type, request.body
    if kind.startswith("multipart/"):
        return _file_of_form(body, request.headers.get("content-type", ""))
    if kind == "application/json" or _is_object(body):
        return file_of_json(object_of(body))
    if not body:
        raise Problem(400, "no_file", HOW)
    return File(keys.clean_filename(request.query.get("filename", "")), _unwrapped(body))


def object_of(body: bytes) -> Json:
    """The JSON object that a body is; raises the problem 400."""
    try:
        found = json.loads(body)
    except GARBAGE:
        found = None
    if not isinstance(found, dict):
        raise Problem(400, "bad_json", "send a JSON object")
    return found


def file_of_json(body: Json) -> File:
    name = next((name for name in FIELDS if isinstance(body.get(name), str)), None)
    filename = body.get("filename", "")
    if name is None or not isinstance(filename, str):
        raise Problem(400, "no_file", HOW)
    return File(keys.clean_filename(filename), _decoded(body[name], name))


def checked(file: File, kind: JobKind, *, max_pixels: int, max_image: int, max_clip: int) -> File:
    """Looked at by its first bytes; raises `BadImage` for what is not of this kind, a problem for what is too large."""
    limit = max_clip if kind is JobKind.VIDEO else max_image
    if len(file.data) > limit:
        raise Problem(413, "body_too_large", f"the limit is {limit / 1e6:g} MB: send a smaller file")
    if kind is JobKind.VIDEO:
        clipfile.kind_of(file.data)
    else:
        check(file.data, max_pixels=max_pixels)
    return file


def _is_object(body: bytes) -> bool:
    return body[:64].lstrip().startswith(b"{")


def _unwrapped(body: bytes) -> bytes:
    """The file itself, also where it came as the text of its base64, as clients of API Gateway send it."""
    if not body.isascii():
        return body
    try:
        return _decoded(body.decode(), "body")
    except Problem:
        return body


def _decoded(text: str, name: str) -> bytes:
    # As a browser's canvas writes it: data:image/jpeg;base64,…
    head, comma, rest = text.partition(",")
    bare = "".join((rest if comma and head.startswith("data:") else text).split())
    try:
        return base64.b64decode(bare, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(400, "bad_base64", f"{name} is not base64") from None


def _file_of_form(body: bytes, content_type: str) -> File:
    """RFC 7578, as far as it is used: parts between boundaries, each with its name and, a file, its filename."""
    boundary = _parameter("content-type", content_type, "boundary")
    if not boundary:
        raise Problem(400, "malformed_request", "a form without a boundary: let your HTTP library make it")
    found: dict[str, File] = {}
    # A boundary begins a line: within a file, the same characters may stand anywhere else.
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"), 1 + MAX_PARTS)
    for part in parts[1 : 1 + MAX_PARTS]:
        head, blank, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name, filename = _names(head)
        if blank and name and filename is not None:
            found.setdefault(name, File(keys.clean_filename(filename), data))
    for name in (*PARTS, *found):
        if name in found:
            return found[name]
    raise Problem(400, "no_file", "send the file in the multipart field 'file'")


def _names(head: bytes) -> tuple[str | None, str | None]:
    """A part's name and its file's, which browsers write in UTF-8."""
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            return _parameter(name.strip(), value, "name"), _parameter(name.strip(), value, "filename")
    return None, None


def _parameter(header: str, value: str, name: str) -> str | None:
    """Of `form-data; name="file"; filename="a.jpg"`."""
    message = Message()
    try:
        message[header] = value.strip()
        found = message.get_param(name, header=header)
    except (MessageError, *GARBAGE):
        return None
    # RFC 2231: in three parts, the last of which is the text.
    return found if isinstance(found, str) or found is None else collapse_rfc2231_value(found)

"""A request, as a REST API, an HTTP API or a function URL tells it. Whatever an event holds, a request comes of it."""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pybase64 as base64

from facefleet.problems import Problem
from facefleet.wire import Json
from lambda_tier.events import Kind

#: Where our paths begin, behind a stage's or a domain's own part.
OURS = "/v1/"


@dataclass(frozen=True, slots=True)
class Request:
    """Header names in small letters. `signed_by`: who asks, where AWS itself has checked that, else empty."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str]
    text: str = field(default="", repr=False)
    is_base64: bool = False
    signed_by: str = ""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def body(self) -> bytes:
        """Raises the problem 400."""
        if not self.is_base64:
            return self.text.encode("utf-8", "replace")
        try:
            return base64.b64decode(self.text, validate=True)
        except (binascii.Error, ValueError):
            raise Problem(400, "bad_base64", "the body is said to be base64, and is not") from None


def request_of(event: Json, kind: Kind) -> Request:
    context = _mapping(event.get("requestContext"))
    http = _mapping(context.get("http")) if kind is Kind.HTTP_2 else event
    path = event.get("rawPath") if kind is Kind.HTTP_2 else event.get("path")
    method = http.get("method") if kind is Kind.HTTP_2 else http.get("httpMethod")
    return Request(
        method=method.upper() if isinstance(method, str) else "GET",
        path=_path(path, context.get("stage")),
        headers={name.lower(): value for name, value in _texts(event, "headers", "multiValueHeaders").items()},
        query=_texts(event, "queryStringParameters", "multiValueQueryStringParameters"),
        text=body if isinstance(body := event.get("body"), str) else "",
        is_base64=event.get("isBase64Encoded") is True,
        signed_by=_signed_by(context),
    )


def plain_event(request: Request, kind: Kind) -> dict[str, Any]:
    """What a router needs of the event, and nothing that could be of another type than it expects."""
    if kind is Kind.HTTP_2:
        http = {"method": request.method, "path": request.path}
        context = {"http": http, "stage": "$default"}
        return {"version": "2.0", "rawPath": request.path, "headers": dict(request.headers), "requestContext": context}
    context = {"stage": "$default", "path": request.path}
    return {
        "version": "1.0",
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(request.headers),
        "requestContext": context,
    }


def _path(path: object, stage: object) -> str:
    if not isinstance(path, str) or not path.startswith("/"):
        return "/"
    if (at := path.find(OURS)) >= 0:
        return path[at:]
    if isinstance(stage, str) and (path == f"/{stage}" or path.startswith(f"/{stage}/")):
        return path[len(stage) + 1 :] or "/"
    return path


def _texts(event: Json, name: str, many: str) -> dict[str, str]:
    """Those of its values that are text; where only lists are told, the last of each."""
    found = {
        key: values[-1] for key, values in _mapping(event.get(many)).items() if isinstance(values, list) and values
    }
    found |= _mapping(event.get(name))
    return {key: value for key, value in found.items() if isinstance(key, str) and isinstance(value, str)}


def _signed_by(context: Json) -> str:
    """An HTTP API and a function URL tell who it was under `authorizer`, a REST API under `identity`."""
    signed = _mapping(_mapping(context.get("authorizer")).get("iam")).get("userArn")
    arn = signed or _mapping(context.get("identity")).get("userArn")
    return arn if isinstance(arn, str) else ""


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}

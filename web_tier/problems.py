"""Errors as a client sees them: problem+json (RFC 9457) under `/v1`, a line of text on the classic route."""

import logging
import time
from http import HTTPStatus
from socket import socket
from threading import BoundedSemaphore
from typing import IO

from flask import Flask, Response, jsonify, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from facefleet.errors import ServiceError
from facefleet.problems import CONTENT_TYPE, RETRY_AFTER, Problem, of_error, to_json

log = logging.getLogger(__name__)

#: A body that we refuse is still read up to here, since a client that is cut off while it sends never sees why.
MAX_REST_BYTES = 64_000_000
MAX_REST_SECONDS = 10.0
#: So many at once; others are cut off, since threads are kept for health checks.
_RESTS = BoundedSemaphore(16)


def busy(code: str, detail: str) -> Problem:
    return Problem(503, code, detail, headers={"Retry-After": str(RETRY_AFTER)})


def install(app: Flask) -> None:
    app.register_error_handler(Problem, _render)
    app.register_error_handler(ServiceError, lambda e: _render(of_error(e)))
    app.register_error_handler(HTTPException, lambda e: _render(_of_http_error(e)))
    app.register_error_handler(ParseException, lambda e: _render(_malformed()))
    app.register_error_handler(TimeoutError, lambda e: _render(_too_slow()))
    app.register_error_handler(Exception, lambda e: _render(_unexpected(e)))
    app.after_request(_read_rest)


def _of_http_error(error: HTTPException) -> Problem:
    if isinstance(error, RequestEntityTooLarge):
        limit = (request.max_content_length or 0) / 1e6
        return Problem(413, "body_too_large", f"the limit is {limit:g} MB: send a smaller file")
    status = error.code or 500
    headers = {k: v for k, v in error.get_headers() if k in ("Allow", "Location")}
    return Problem(
        status, HTTPStatus(status).phrase.lower().replace(" ", "_"), error.description or "", headers=headers
    )


def _malformed() -> Problem:
    return Problem(400, "malformed_request", "the request's body is not well-formed HTTP: send it again")


def _too_slow() -> Problem:
    return Problem(408, "too_slow", "the rest of the request did not arrive in time: send it again")


def _unexpected(error: Exception) -> Problem:
    log.error("unexpected, answered 500", exc_info=error)
    return Problem(500, "internal_error", "something here is broken, and was logged: try again later")


def _render(problem: Problem) -> Response:
    if request.path.startswith("/v1/"):
        response = jsonify(to_json(problem))
        response.content_type = CONTENT_TYPE
    else:
        response = Response(f"{problem.detail}\n", content_type="text/plain; charset=utf-8")
    response.status_code = problem.status
    response.headers.update(problem.headers)
    return response


def _read_rest(response: Response) -> Response:
    """Reads, within bounds, what a refused client is still sending."""
    if response.status_code < 400 or not _RESTS.acquire(blocking=False):
        return response
    try:
        _read(request.environ["wsgi.input"], request.environ.get("gunicorn.socket"))
    except (OSError, ParseException):
        log.debug("a refused client went away")
    finally:
        _RESTS.release()
    return response


def _read(stream: IO[bytes], connection: socket | None) -> None:
    deadline, left = time.monotonic() + MAX_REST_SECONDS, MAX_REST_BYTES
    while left > 0 and (seconds := deadline - time.monotonic()) > 0:
        if connection is not None:
            connection.settimeout(seconds)
        chunk = stream.read(min(left, 65_536))
        if not chunk:
            return
        left -= len(chunk)

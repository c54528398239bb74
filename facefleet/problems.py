"""Errors as a client over HTTP sees them: problem+json (RFC 9457), with a stable code and the next step in words."""

from collections.abc import Mapping
from http import HTTPStatus

from facefleet.errors import BadImage, BadPerson, Conflict, NotFound, ServiceError, TooLarge, Unavailable
from facefleet.wire import Json

CONTENT_TYPE = "application/problem+json"
#: Seconds that a client is asked to wait when we are full.
RETRY_AFTER = 5

STATUS_BY_CODE = {
    "bad_upload": 400,
    "empty_file": 400,
    "not_found": 404,
    "duplicate_photo": 409,
    "nearer_to_another": 409,
    "in_progress": 409,
    "too_many_pixels": 413,
    "too_large": 413,
    "not_an_image": 415,
    "not_a_video": 415,
    "unsupported_file": 415,
    "idempotency_key_reused": 422,
}
STATUS_BY_ERROR: tuple[tuple[type[ServiceError], int], ...] = (
    (BadImage, 422),
    (BadPerson, 400),
    (NotFound, 404),
    (Conflict, 409),
    (TooLarge, 413),
    (Unavailable, 503),
)


class Problem(Exception):
    """An answer that is an error: its status, its stable code, and what to do about it."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, forcible: bool = False
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.forcible = forcible


def of_error(error: ServiceError) -> Problem:
    status = next((status for kind, status in STATUS_BY_ERROR if isinstance(error, kind)), 500)
    headers = {"Retry-After": str(RETRY_AFTER)} if status == 503 else None
    status = STATUS_BY_CODE.get(error.code, status)
    return Problem(status, error.code, error.detail, headers=headers, forcible=error.forcible)


def unless_failed(result: Json, headers: Mapping[str, str] | None = None) -> Json:
    """The result; a problem, with these headers, if its job ended without an answer."""
    if error := result["error"]:
        status = STATUS_BY_CODE.get(error["code"], 422)
        raise Problem(status, error["code"], error["detail"], headers=headers, forcible=error.get("forcible", False))
    return result


def to_json(problem: Problem) -> Json:
    body: Json = {
        "type": f"urn:facefleet:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    return body | {"forcible": True} if problem.forcible else body

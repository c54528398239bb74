"""What stands behind the question mark and in headers of requests. Pure."""

import re

from facefleet.problems import Problem
from lambda_tier.asked import Request

MAX_TOP_K = 100
TRUTH = {"true": True, "1": True, "false": False, "0": False}
#: As the web tier takes it; quotes around it, as RFC 8941 writes a string, are not the key's.
KEY = re.compile(r'"?([!#-~]{1,255})"?')


def top_k(request: Request) -> int:
    """Candidates to tell for each face; 0 unless asked for."""
    text = request.query.get("top_k", "0")
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_TOP_K)) or int(text) > MAX_TOP_K:
        raise Problem(400, "bad_top_k", f"top_k is a number from 0 to {MAX_TOP_K}")
    return int(text)


def flag(request: Request, name: str) -> bool:
    """False unless the parameter of that name says otherwise."""
    text = request.query.get(name, "false").lower()
    if text not in TRUTH:
        raise Problem(400, f"bad_{name}", f"{name} is true or false")
    return TRUTH[text]


def idempotency_key(request: Request) -> str | None:
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if (key := KEY.fullmatch(given)) is None:
        detail = "Idempotency-Key is 1 to 255 visible characters of ASCII, as a UUID is"
        raise Problem(400, "bad_idempotency_key", detail)
    return key[1]

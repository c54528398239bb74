"""The key that a client chooses for a request, so that the same request again is answered as the first time. Pure.

A key is heeded as the draft has it: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import re

from facefleet.problems import Problem

HEADER = "Idempotency-Key"
#: The header that says that an answer is that of the first time, and its word:
#: https://docs.stripe.com/api/idempotent_requests
REPLAYED = {"Idempotent-Replayed": "true"}
KEY = re.compile(r"[!-~]{1,255}")
#: A string as RFC 8941 writes it.
QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


def key_of(header: str | None) -> str | None:
    """The key that a client chose, bare or as a quoted string; None if it chose none."""
    if header is None:
        return None
    quoted = QUOTED.fullmatch(header)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else header
    if not KEY.fullmatch(key) or (header.startswith('"') and not quoted):
        raise Problem(400, "bad_idempotency_key", f"{HEADER} is 1 to 255 visible characters of ASCII, as a UUID is")
    return key

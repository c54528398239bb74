"""Who may ask: keys with scopes, compared in constant time. AWS's own word for who signed a request is enough, too."""

import hmac
from hashlib import sha256

from facefleet.problems import Problem
from lambda_tier.asked import Request
from lambda_tier.outside import Keys

SCOPE = "recognise"
HEADER = "x-api-key"


def check(request: Request, keys: Keys) -> None:
    """Raises the problem 401 or 403. Unlike a service on loopback, a function without keys answers nobody."""
    if not keys:
        raise Problem(403, "no_keys", "this function has no API keys, and answers nobody: name their secret for it")
    given = request.headers.get(HEADER, "")
    # Every key is compared, so that the time taken tells nothing.
    found = [
        scopes for key, scopes in keys.items() if hmac.compare_digest(key.encode(), given.encode("utf-8", "replace"))
    ]
    if not found:
        raise Problem(401, "key_required", f"send a valid key in the header {HEADER}")
    if SCOPE not in found[0]:
        raise Problem(403, "scope_missing", f"this key lacks the scope {SCOPE}")


def caller(request: Request) -> str:
    """A digest of who asks, by key or by AWS's word: who asks under an `Idempotency-Key` shares it with nobody."""
    who = request.signed_by or request.headers.get(HEADER, "")
    return sha256(who.encode("utf-8", "replace")).hexdigest()

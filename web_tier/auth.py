"""Who may ask: keys with scopes, compared in constant time; and no other site's page in a user's browser."""

import hmac
from collections.abc import Callable, Mapping
from functools import wraps
from hashlib import sha256
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Flask, current_app, request

from facefleet.problems import Problem
from facefleet.settings import is_loopback

P = ParamSpec("P")
R = TypeVar("R")

Keys = Mapping[str, frozenset[str]]
EXTENSION = "facefleet-keys"


def install(app: Flask, keys: Keys) -> None:
    app.extensions[EXTENSION] = keys
    app.before_request(_refuse_other_sites)


def needs(scope: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A view that answers only to a key with this scope; where no keys are set, to everybody."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            check(scope)
            return view(*args, **kwargs)

        return guarded

    return decorate


def check(scope: str) -> None:
    """Raises the problem 401 or 403."""
    keys: Keys = current_app.extensions[EXTENSION]
    if not keys:
        return
    scopes = _scopes(keys, request.headers.get("x-api-key", ""))
    if scopes is None:
        raise Problem(401, "key_required", "send a valid key in the header x-api-key")
    if scope not in scopes:
        raise Problem(403, "scope_missing", f"this key lacks the scope {scope}")


def caller() -> bytes:
    """A digest of the key with which the request came; the same for everybody where no keys are set."""
    given = request.headers.get("x-api-key", "") if current_app.extensions[EXTENSION] else ""
    return sha256(given.encode()).digest()


def _scopes(keys: Keys, given: str) -> frozenset[str] | None:
    """Every key is compared, so that the time taken tells nothing."""
    found = [scopes for key, scopes in keys.items() if hmac.compare_digest(key.encode(), given.encode())]
    return found[0] if found else None


def _refuse_other_sites() -> None:
    """A page elsewhere, open in a browser on this machine, must not reach a service that asks for no key."""
    host = urlsplit(f"//{request.host}").hostname or ""
    if not current_app.extensions[EXTENSION] and not is_loopback(host):
        raise Problem(403, "foreign_host", "this service has no keys and answers only under localhost")
    origin = request.headers.get("Origin")
    if origin and request.method not in ("GET", "HEAD", "OPTIONS") and origin.partition("://")[2] != request.host:
        raise Problem(403, "foreign_origin", "this page belongs to another site")

"""What Lambda calls: `lambda_tier.handler.handler`.

To import this does nothing. To ask it for its `handler`, as Lambda's runtime does while it starts, reads the settings
and loads what is loaded once: models, gallery, clients.
"""

import logging
import os
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from facefleet.backends.aws import function
from facefleet.entry import keep_memory
from facefleet.errors import Unavailable
from facefleet.recognition.encoder import open_encoder
from facefleet.recognition.keeper import Keeper
from facefleet.settings import Settings
from lambda_tier.dispatch import Function
from lambda_tier.once import Once
from lambda_tier.outside import Keys, Outside
from lambda_tier.telling import Teller, tell_as_json
from lambda_tier.work import Work

if TYPE_CHECKING:
    from lambda_tier.secret import Secret

log = logging.getLogger(__name__)

#: Processes that wait for replies come and go; so many are known by their queues.
MOST_QUEUES = 64


def __getattr__(name: str) -> Callable[[Any, Any], Any]:
    if name == "handler":
        try:
            return _handler()
        except AttributeError as e:
            # The runtime would take it for a handler that is not there.
            raise RuntimeError("the handler could not be made") from e
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _handler() -> Callable[[Any, Any], Any]:
    keep_memory()
    settings = Settings.from_env(os.environ)
    tell_as_json(settings.log_level)
    return built(settings, os.environ)


def built(settings: Settings, env: Mapping[str, str]) -> Function:
    """`env`: what is the function's alone, `IDEMPOTENCY_TABLE`, `DEAD_QUEUE` and `API_KEY_SECRET`."""
    teller = Teller(level=settings.log_level)
    outside = outside_of(settings, env)
    encode = open_encoder(settings.models_folder, smallest_face=settings.smallest_face)
    keeper = Keeper(outside.people, outside.blobs)
    try:
        keeper.refresh()
    except Unavailable as e:
        # Each job asks again.
        log.warning("the gallery is not here yet: %s", e)
    return Function(Work(encode, keeper, outside, settings), outside, settings, teller)


def outside_of(settings: Settings, env: Mapping[str, str]) -> Outside:
    account = function.connect(settings)
    dead = env.get("DEAD_QUEUE", "")
    return Outside(
        blobs=account.blobs,
        people=account.people,
        objects=account.objects,
        replies=lru_cache(MOST_QUEUES)(account.queue),
        responses=cache(lambda: account.queue(settings.response_queue)),
        dead=cache(lambda: account.queue(dead)) if dead else None,
        presign=account.blobs.presigned,
        once=Once(env.get("IDEMPOTENCY_TABLE", ""), account.dynamodb),
        keys=keys_of(settings, env.get("API_KEY_SECRET", ""), account.secrets),
    )


def keys_of(settings: Settings, secret: str, client: Any) -> Callable[[], Keys]:
    """Those of the settings, and those in the secret."""
    if not secret:
        return lambda: settings.keys

    @cache
    def of_secret() -> "Secret":
        from lambda_tier.secret import Secret

        return Secret(secret, client)

    return lambda: {**settings.keys, **of_secret().keys()}

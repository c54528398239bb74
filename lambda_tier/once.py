"""Each piece of work once, however often it is asked for: by a table of what is under way or done.

The table holds digests and times: no name, no answer. A process that is killed behind its work and before the table
knows is the one case in which a piece is done twice.
"""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)

from facefleet.errors import Conflict, Unavailable
from facefleet.keys import IDEMPOTENCY_KEPT


class Once:
    """Without a table, everything is done as often as it is asked for."""

    def __init__(self, table: str, dynamodb: Any) -> None:
        self._config = IdempotencyConfig(
            event_key_jmespath="identity",
            payload_validation_jmespath="fingerprint",
            expires_after_seconds=int(IDEMPOTENCY_KEPT),
            hash_function="sha256",
        )
        self._do: Callable[..., None] = _do
        if table:
            layer = DynamoDBPersistenceLayer(table, boto3_client=dynamodb)
            decorate = idempotent_function(
                data_keyword_argument="asked", persistence_store=layer, config=self._config, key_prefix="once"
            )
            self._do = decorate(_do)

    def begin(self, context: Any) -> None:
        """With each call of the function, whose time it is that a piece of work has at most."""
        self._config.register_lambda_context(context)

    def do(self, identity: str, work: Callable[[], object], *, fingerprint: str = "") -> bool:
        """False where it was done before. Work that raises is not done.

        Raises `Unavailable` while somebody else is at it, or the table does not answer, and `Conflict` where the
        identity stands for work of another fingerprint.
        """
        done: list[bool] = []
        try:
            self._do(asked={"identity": identity, "fingerprint": fingerprint}, work=work, done=done)
        except IdempotencyValidationError as e:
            detail = "this Idempotency-Key stands for another file, file name or parameter: choose a new one"
            raise Conflict(detail, code="idempotency_key_reused") from e
        except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError) as e:
            raise Unavailable(
                "this is being done by somebody else now: ask again in a moment", code="in_progress"
            ) from e
        except IdempotencyPersistenceLayerError as e:
            raise Unavailable(f"the table of what was done does not answer: {e.__cause__}") from e
        return bool(done)


def _do(*, asked: dict[str, str], work: Callable[[], object], done: list[bool]) -> None:
    work()
    done.append(True)

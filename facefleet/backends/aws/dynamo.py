"""DynamoDB's calls that may be done in part, or refused for a moment, asked again until all of it is done."""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

from facefleet.backends.aws.faults import code_of, translated
from facefleet.errors import Unavailable

Item = dict[str, Any]

#: Seconds that others may keep us from getting on; beyond this something is wrong.
PATIENCE = 30.0
#: The first pause is shorter than this, each later one than twice that, up to the longest.
FIRST_PAUSE = 0.02
DOUBLINGS = 5
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
MAX_READ = 100
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
MAX_WRITTEN = 25
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
MAX_ACTIONS = 100
MAX_TRANSACTION_BYTES = 4_000_000

NO_TABLE = "ResourceNotFoundException"
CANCELLED = "TransactionCanceledException"
CONDITION_FAILED = "ConditionalCheckFailed"
#: Why a transaction may be cancelled that may well go through when asked for again.
PASSING = frozenset(
    {"None", CONDITION_FAILED, "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """As `translated`, but that a table that is missing is nobody who is missing."""
    with translated(what):
        try:
            yield
        except ClientError as e:
            if code_of(e) == NO_TABLE:
                raise Unavailable(
                    f"{what}: there is no such table: set FACEFLEET_PEOPLE_TABLE, or `facefleet setup` makes it"
                ) from e
            raise


def tries() -> Iterator[int]:
    """Comes to an end after `PATIENCE`; between two tries is a pause, by chance, so that those who collided part."""
    deadline = time.monotonic() + PATIENCE
    for number in count():
        yield number
        if time.monotonic() > deadline:
            return
        time.sleep(longest_pause(number) * random.random())  # noqa: S311  # to part, not to hide


def longest_pause(number: int) -> float:
    """After a try of this number, from 0 on."""
    return float(FIRST_PAUSE * 2 ** min(number, DOUBLINGS))


def query(client: Any, what: str, **wanted: Any) -> Iterator[Item]:
    """The items asked for, page by page as they are used; each is read as it was last written."""
    while True:
        with asking(what):
            page = client.query(ConsistentRead=True, **wanted)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        wanted["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def get_all(client: Any, table: str, keys: Sequence[Item], what: str) -> list[Item]:
    """Those that are there, in no order, each as it was last written."""
    found: list[Item] = []
    for some in _parts(keys, MAX_READ):
        asked: Item = {table: {"Keys": some, "ConsistentRead": True}}
        for _ in tries():
            with asking(what):
                answer = client.batch_get_item(RequestItems=asked)
            found += answer["Responses"].get(table, ())
            asked = answer.get("UnprocessedKeys")
            if not asked:
                break
        else:
            raise Unavailable(f"{what}: DynamoDB left some of it out for {PATIENCE:.0f} s: try again later")
    return found


def delete_all(client: Any, table: str, keys: Iterable[Item], what: str) -> None:
    """Deletes these; those that are not there do no harm."""
    for some in _parts(list(keys), MAX_WRITTEN):
        asked: Item = {table: [{"DeleteRequest": {"Key": key}} for key in some]}
        for _ in tries():
            with asking(what):
                asked = client.batch_write_item(RequestItems=asked).get("UnprocessedItems")
            if not asked:
                break
        else:
            raise Unavailable(f"{what}: DynamoDB left some of it out for {PATIENCE:.0f} s: try again later")


def transact(client: Any, actions: Sequence[Item], what: str) -> tuple[str, ...]:
    """Does all of it or nothing. Empty if it is done; else why each action was refused, or "None" of one that was not.

    botocore gives each call a token, the same at each of its tries: one whose answer was lost is not done twice, nor
    refused because it was done already.
    """
    with asking(what):
        try:
            client.transact_write_items(TransactItems=list(actions))
        except ClientError as e:
            reasons = tuple(reason["Code"] for reason in e.response.get("CancellationReasons", ()))
            if code_of(e) != CANCELLED or not reasons or not set(reasons) <= PASSING:
                raise
            return reasons
    return ()


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[at : at + size] for at in range(0, len(items), size))

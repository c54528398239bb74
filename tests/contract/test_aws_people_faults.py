"""What DynamoDB may do to any call on people: leave a part out, cancel a transaction, lose an answer, lag behind."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from facefleet.backends.aws import dynamo, people_items
from facefleet.backends.aws import people as module
from facefleet.backends.aws.account.wanted import INDEX
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.people import DynamoPeople
from facefleet.errors import Unavailable
from facefleet.model import Changes, Person
from facefleet.settings import Settings

pytestmark = pytest.mark.parametrize("settings", ["aws"], indirect=True)


@pytest.fixture
def client(clients: Clients) -> Any:
    """A real one, in whose calls a test may meddle."""
    return clients.dynamodb


@pytest.fixture
def meddled(people: DynamoPeople, client: Any, settings: Settings) -> DynamoPeople:
    """The same people, by way of `client`."""
    return DynamoPeople(client, settings.people_table)


def put(people: DynamoPeople, *ids: str) -> list[Person]:
    return [people.put(Person(id, id.title())) for id in ids]


def once(client: Any, event: str, act: Callable[..., object]) -> None:
    """Does this at the first such event alone."""
    turns = count()
    client.meta.events.register(event, lambda **of: act(**of) if next(turns) == 0 else None)


def answer(request: AWSPreparedRequest, status: int, body: object) -> AWSResponse:
    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield json.dumps(body).encode()

    return AWSResponse(request.url, status, {}, Raw())


def cancelled(request: AWSPreparedRequest, reasons: Sequence[str]) -> AWSResponse:
    told = {"__type": "TransactionCanceledException", "CancellationReasons": [{"Code": code} for code in reasons]}
    return answer(request, 400, told)


def test_people_whom_an_answer_leaves_out_are_asked_for_again(meddled: DynamoPeople, client: Any) -> None:
    enrolled = put(meddled, *"abcdefgh")

    def leave_out(parsed: dict[str, Any], **_: object) -> None:
        for table, found in parsed["Responses"].items():
            out, found[:] = found[1:], found[:1]
            if out:
                keys = [{"name": item["name"]} for item in out]
                parsed["UnprocessedKeys"] = {table: {"Keys": keys, "ConsistentRead": True}}

    client.meta.events.register("after-call.dynamodb.BatchGetItem", leave_out)
    assert meddled.list() == tuple(enrolled)


def test_who_is_left_out_again_and_again_is_told_of_as_unavailable(
    meddled: DynamoPeople, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamo, "PATIENCE", 0.05)
    put(meddled, "paul")

    def leave_out(parsed: dict[str, Any], **_: object) -> None:
        (table,) = parsed["Responses"]
        parsed |= {"Responses": {}, "UnprocessedKeys": {table: {"Keys": [people_items.person_key("paul")]}}}

    client.meta.events.register("after-call.dynamodb.BatchGetItem", leave_out)
    with pytest.raises(Unavailable, match="left some of it out"):
        meddled.list()


def test_what_a_deletion_leaves_is_deleted_again(
    meddled: DynamoPeople, client: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_REMOVED", -1.0)
    put(meddled, *"abcdef")
    assert meddled.clear() == 6
    left: dict[str, Any] = {}

    def send_one(params: dict[str, Any], **_: object) -> None:
        left.clear()
        for table, asked in params["RequestItems"].items():
            if asked[1:]:
                left[table] = asked[1:]
            params["RequestItems"][table] = asked[:1]

    def tell(parsed: dict[str, Any], **_: object) -> None:
        parsed["UnprocessedItems"] = dict(left)

    client.meta.events.register("provide-client-params.dynamodb.BatchWriteItem", send_one)
    client.meta.events.register("after-call.dynamodb.BatchWriteItem", tell)
    meddled.tidy()
    assert client.scan(TableName=f"{settings.people_table}-index")["Count"] == 1
    assert meddled.version() == 12


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_change_that_collides_is_made_again(meddled: DynamoPeople, client: Any, reason: str) -> None:
    once(
        client,
        "before-send.dynamodb.TransactWriteItems",
        lambda request, **_: cancelled(request, ["None", reason, "None"]),
    )
    assert put(meddled, "paul")[0].version == 1
    assert meddled.get("paul").name == "Paul"


def test_a_change_that_will_never_go_through_is_not_tried_again(meddled: DynamoPeople, client: Any) -> None:
    once(
        client, "before-send.dynamodb.TransactWriteItems", lambda request, **_: cancelled(request, ["ValidationError"])
    )
    with pytest.raises(Unavailable):
        put(meddled, "paul")
    assert meddled.version() == 0


def test_a_change_whose_answer_is_lost_is_made_once(meddled: DynamoPeople, client: Any) -> None:
    paul = put(meddled, "paul")[0]

    def lose(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        assert URLLib3Session().send(request).status_code == 200
        return answer(request, 500, {})

    once(client, "before-send.dynamodb.TransactWriteItems", lose)
    assert meddled.put(replace(paul, name="Paul II")).version == 2
    assert meddled.get("paul") == Person("paul", "Paul II", version=2)


@pytest.mark.parametrize(("at", "told"), [(12.3456, "12.346"), (12.5, "12.5"), (1200.0, "1200"), (0.0, "0")])
@pytest.mark.usefixtures("people")
def test_a_time_is_written_as_dynamodb_writes_it(client: Any, settings: Settings, at: float, told: str) -> None:
    """Else a try again may be taken for another request."""
    assert people_items.number(at) == told
    item = people_items.index_key("of tests", "time") | {"at": {"N": told}}
    client.put_item(TableName=settings.people_table + INDEX, Item=item)
    found = client.get_item(TableName=settings.people_table + INDEX, Key=people_items.index_key("of tests", "time"))
    assert found["Item"]["at"]["N"] == told


def test_somebody_whose_change_is_not_to_be_seen_yet_is_read_again(meddled: DynamoPeople, client: Any) -> None:
    """A transaction's items come into sight one by one: the log's, perhaps, before the person's."""
    paul, anna = put(meddled, "paul", "anna")
    again = meddled.put(replace(paul, name="Paul II"))

    def hide(parsed: dict[str, Any], **_: object) -> None:
        parsed["Responses"] = {
            table: [item | {"version": {"N": "1"}} for item in found if item["name"]["S"] == "paul"]
            for table, found in parsed["Responses"].items()
        }

    once(client, "after-call.dynamodb.BatchGetItem", hide)
    assert meddled.changes(0) == Changes(again.version, (anna, again))


def test_somebody_changed_while_all_are_erased_is_erased_too(
    people: DynamoPeople, meddled: DynamoPeople, client: Any
) -> None:
    paul, _ = put(people, "paul", "anna")
    once(
        client,
        "before-call.dynamodb.TransactWriteItems",
        lambda **_: people.put(replace(paul, name="Paul II")) and None,
    )
    assert meddled.clear() == 2
    assert people.list() == ()


def test_a_page_is_full_though_somebody_of_it_is_erased_while_it_is_read(
    people: DynamoPeople, meddled: DynamoPeople, client: Any
) -> None:
    """One that is not full is taken for the last."""
    ann, _, cem = put(people, "ann", "ben", "cem")

    def erase(**_: object) -> None:
        people.delete("ben")

    once(client, "before-call.dynamodb.BatchGetItem", erase)
    assert meddled.list(limit=2) == (ann, cem)

"""What a relay takes of the messages that its input queue holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relays import told_of
from woken import TEST_EVENT, put, records

from facefleet.arrivals import arrivals
from facefleet.errors import BadMessage
from openstack_relay.incoming import Event, identity_of, read

EVENT = records(put("clips", "a b.mp4", 7, versionId="v1"))


def by_topic(event: object) -> str:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html"""
    return json.dumps({"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": json.dumps(event)})


def by_bus(**about: object) -> str:
    told = {"key": "a b.mp4", "size": 7, "etag": "e", "version-id": "v1", "sequencer": "0A1B2C"}
    detail = {"version": "0", "bucket": {"name": "clips"}, "object": told, "reason": "PutObject"}
    return json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail} | about)


def test_an_object_that_came_is_an_event_with_s3s_own_words_for_it() -> None:
    event = read(json.dumps(EVENT))
    assert event is not None and event.body == EVENT
    (arrival,) = event.arrivals
    assert (arrival.bucket, arrival.key, arrival.version, arrival.size) == ("clips", "a b.mp4", "v1", 7)
    assert event.identity == arrival.identity


def test_several_objects_are_one_event_with_an_identity_of_its_own() -> None:
    event = read(told_of("a.mp4", "b.mp4"))
    assert event is not None and [one.key for one in event.arrivals] == ["a.mp4", "b.mp4"]
    assert event.identity not in {one.identity for one in event.arrivals}
    assert event.identity == identity_of(event.arrivals)


@pytest.mark.parametrize("text", [by_topic(EVENT), by_bus(), json.dumps({"requestPayload": EVENT})])
def test_what_others_put_around_an_event_is_taken_off(text: str) -> None:
    event, bare = read(text), read(json.dumps(EVENT))
    assert event is not None and bare is not None
    assert event.arrivals == bare.arrivals
    # The function reads it as it reads S3's own.
    assert list(arrivals(event.body)) == list(bare.arrivals)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TEST_EVENT),
        by_topic(TEST_EVENT),
        told_of("a.mp4", name="ObjectRemoved:Delete"),
        told_of("folder/"),
        by_bus(**{"detail-type": "Object Deleted"}),
        json.dumps({"Records": []}),
    ],
)
def test_a_test_a_removal_and_a_folders_mark_are_nothing_to_do(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "7",
        "{}",
        '{"Records": 7}',
        '{"Records": [7]}',
        '{"Records": [{}]}',
        "[" * 100000,
        '{"Type": "Notification", "Message": "x"}',
        '{"source": "aws.s3", "detail": {}}',
    ],
)
def test_anything_else_is_poison(text: str) -> None:
    with pytest.raises(BadMessage):
        read(text)


def test_an_event_of_which_one_record_cannot_be_read_is_no_event() -> None:
    """Else the others would be done, and it be lost without a word."""
    with pytest.raises(BadMessage, match="not a record"):
        read(json.dumps(records(put("clips", "a.mp4"), {"eventName": "ObjectCreated:Put"})))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Records",
                    "Event",
                    "Type",
                    "Message",
                    "source",
                    "detail",
                    "object",
                    "bucket",
                    "key",
                    "requestPayload",
                    "name",
                    "s3",
                    "eventName",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_it_holds_a_message_ends_in_our_words(body: object) -> None:
    try:
        found = read(json.dumps(body))
    except BadMessage:
        return
    assert found is None or isinstance(found, Event)

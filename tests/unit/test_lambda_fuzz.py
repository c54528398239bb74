"""Whatever an event holds, the function ends in an answer, in a list of what failed, or in words of ours."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from awake import RED, Place, enrol, image_of, picture, place
from clips import clip_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from woken import TEST_EVENT, asked_1, asked_2, message, put, records

from facefleet import wire
from facefleet.backends import connect
from facefleet.errors import BadMessage, ServiceError
from facefleet.model import Job, JobKind
from facefleet.settings import Settings
from lambda_tier.events import Kind, kind_of

PHOTO = picture(RED)
CLIP = clip_of((image_of(RED), 0.2))
FORM = {"request_id": "r", "content": wire.base64.b64encode_as_string(PHOTO), "filename": "a.jpg"}
JOB = Job("a" * 32, JobKind.RECOGNISE, "a.jpg", 0.0, image=PHOTO)
MULTIPART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + PHOTO + b"\r\n--b--\r\n"
#: As AWS publishes them; each is then changed somewhere.
SHAPES = [
    TEST_EVENT,
    records(put("clips", "test_0.mp4"), put("clips", "a b.jpg", versionId="3/L4kqtJlcpXroDTDmJ")),
    records(
        message(wire.dump_job(JOB)), message(json.dumps(FORM), "2"), message(json.dumps(records(put("c", "k"))), "3")
    ),
    asked_1("POST", "/", PHOTO, headers={"Content-Type": "image/jpeg"}),
    asked_1(
        "POST",
        "/v1/recognitions",
        json.dumps({"image": FORM["content"]}),
        headers={"Content-Type": "application/json"},
        top_k="2",
    ),
    asked_1("GET", "/v1/recognitions/" + "a" * 32),
    asked_2("POST", "/", json.dumps(FORM), headers={"Content-Type": "application/json"}),
    asked_2(
        "POST", "/v1/videos", CLIP, headers={"Content-Type": "video/mp4", "Idempotency-Key": "k"}, appearances="true"
    ),
    asked_2("POST", "/v1/uploads", '{"filename": "a.mp4", "bytes": 9}', headers={"Content-Type": "application/json"}),
    asked_2("POST", "/", MULTIPART, headers={"Content-Type": "multipart/form-data; boundary=b"}),
    asked_2("GET", "/healthz"),
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            "/",
            "aws:s3",
            "aws:sqs",
            "%",
            "%ff",
            "\ud800",
            "ObjectCreated:Put",
            "base64",
            "=" * 5,
            "1e999",
            "x" * 100_000,
        ]
    ),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*path, name)
        yield from places_in(one, (*path, name))


def changed(event: Any, path: tuple[Any, ...], value: Any, *, gone: bool) -> Any:
    event = copy.deepcopy(event)
    around = event
    for name in path[:-1]:
        around = around[name]
    if gone:
        del around[path[-1]]
    else:
        around[path[-1]] = value
    return event


@st.composite
def events(draw: st.DrawFn) -> Any:
    """A published shape with up to three of its places changed or gone, or anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ANYTHING)
    event = draw(st.sampled_from(SHAPES))
    for _ in range(draw(st.integers(1, 3))):
        if paths := list(places_in(event)):
            event = changed(event, draw(st.sampled_from(paths)), draw(ANYTHING), gone=draw(st.booleans()))
    return event


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Place:
    ours = Settings(data=tmp_path_factory.mktemp("fuzzed"), input_bucket="clips", output_bucket="lines")
    made = place(connect(ours), ours)
    enrol(made.backend.people)
    made.objects.found |= {("clips", "test_0.mp4"): CLIP, ("clips", "a b.jpg"): PHOTO}
    return made


def check(here: Place, event: Any) -> None:
    """Raises what does not become an answer, a list or an error of ours."""
    try:
        answer = here.wake(event)
    except ServiceError as e:
        # Lambda retries, or buries it with these words.
        assert len(e.detail) > 10
        return
    kind = kind_of(event)
    if kind in (Kind.HTTP_1, Kind.HTTP_2):
        assert 200 <= answer["statusCode"] < 504 and answer["statusCode"] != 500
        assert isinstance(answer["body"], str)
        json.loads(answer["body"])
    elif kind is Kind.SQS:
        assert {item["itemIdentifier"] for item in answer["batchItemFailures"]} <= {
            record["messageId"] for record in event["Records"]
        }
    else:
        assert answer is None
    json.dumps(answer)


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_each_shape_as_it_is_published_is_understood(here: Place, shape: int) -> None:
    check(here, SHAPES[shape])


@given(event=events())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_event_makes_the_function_stumble(here: Place, event: Any) -> None:
    check(here, event)


@pytest.mark.parametrize("kind", ["jpeg", "form", "json", "mp4"])
@given(seed=st.integers(0, 2**32), cuts=st.integers(1, 20))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_body_does_either(here: Place, kind: str, seed: int, cuts: int) -> None:
    body = {"jpeg": PHOTO, "form": MULTIPART, "json": json.dumps(FORM).encode(), "mp4": CLIP}[kind]
    types = {"form": "multipart/form-data; boundary=b", "json": "application/json"}
    chance, data = random.Random(seed), bytearray(body)
    for _ in range(cuts):
        data[chance.randrange(len(data))] = chance.randrange(256)
    cut = chance.randrange(len(data))
    del data[cut : cut + chance.randrange(100)]
    check(here, asked_2("POST", "/", bytes(data), headers={"Content-Type": types.get(kind, "image/jpeg")}))


def test_an_event_as_large_as_they_come_is_answered(here: Place) -> None:
    check(here, asked_2("POST", "/", "A" * 6_000_000))
    check(here, asked_2("POST", "/v1/recognitions", bytes(4_000_000), headers={"Content-Type": "image/jpeg"}))
    check(here, records(*(put("clips", f"{number}.mp4") for number in range(500))))


def test_an_event_nested_without_end_is_none_of_ours(here: Place) -> None:
    event: Any = {}
    for _ in range(5000):
        event = {"Records": event}
    with pytest.raises(BadMessage):
        here.wake(event)

"""A function that sees faces in colours, in a place where everything that it keeps and sends is there to be seen."""

import json
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from woken import KEY, Context, Json

from facefleet.errors import NotFound, TooLarge
from facefleet.model import Box, Person, Photo
from facefleet.ports import Backend, People
from facefleet.recognition.encoder import EncodedFace, Encoder, Encoding
from facefleet.recognition.images import Picture
from facefleet.recognition.keeper import Keeper
from facefleet.settings import Settings
from lambda_tier.dispatch import Function
from lambda_tier.once import Once
from lambda_tier.outside import Outside
from lambda_tier.telling import Teller
from lambda_tier.work import Work

KEYS = {KEY: frozenset({"recognise"}), "enrols-only": frozenset({"enrol"})}
RED, GREEN, BLUE, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 200), (0, 0, 0)
MR_BEAN = Person("mr_bean", "Mr. Bean", {"major": "lawyer", "year": "freshmen"})


def picture(colour: tuple[int, int, int], kind: str = "JPEG") -> bytes:
    return file_of(image_of(colour), kind)


def file_of(image: Image.Image, kind: str = "JPEG") -> bytes:
    image.save(file := BytesIO(), kind)
    return file.getvalue()


def image_of(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (64, 48), colour)


def encoding_of(colour: int) -> Encoding:
    return np.eye(128, dtype=np.float32)[colour]


def sees_colours(picture: Picture) -> list[EncodedFace]:
    """Red, green and blue are three people; black shows nobody."""
    mean = np.asarray(picture.whole(32).convert("RGB")).mean((0, 1))
    if mean.max() < 50:
        return []
    return [EncodedFace(Box(0, 0, 40, 40), encoding_of(int(mean.argmax())), np.zeros((150, 150, 3), np.uint8))]


def enrol(people: People, person: Person = MR_BEAN, colour: int = 0) -> None:
    photo = Photo("0" * 32, Box(0, 0, 1, 1), encoding_of(colour).tobytes())
    people.put(Person(person.id, person.name, person.attributes, (photo,)))


@dataclass
class Directory:
    """Objects, by bucket and key, of a test that has no S3."""

    found: dict[tuple[str, str], bytes] = field(default_factory=dict)
    bucket: str = "clips"

    def get(self, bucket: str, key: str, *, version: str | None, most: int) -> bytes:
        if (bucket, key) not in self.found:
            raise NotFound(f"no {key}")
        if len(self.found[bucket, key]) > most:
            raise TooLarge("too many bytes")
        return self.found[bucket, key]

    def blob(self, bucket: str, key: str) -> str | None:
        return f"in/{key}" if bucket == self.bucket else None


@dataclass
class Place:
    """A function on one machine: what it was told to keep and to send is there to be seen."""

    backend: Backend
    settings: Settings
    objects: Directory
    function: Function
    outside: Outside

    def wake(self, event: object, *, left: float = 60.0) -> Any:
        return self.function(event, Context(left))

    def sent(self) -> list[str]:
        """Messages on the response queue; and they are gone."""
        return taken(self.backend.requests)

    def dead(self) -> list[Json]:
        return [json.loads(text) for text in taken(self.backend.dead)]

    def blob(self, key: str) -> str | None:
        try:
            return self.backend.blobs.get(key).decode()
        except NotFound:
            return None


def taken(queue: Any) -> list[str]:
    bodies = []
    while messages := queue.receive(limit=10):
        bodies += [message.body for message in messages]
        queue.ack_all(messages)
    return bodies


def place(backend: Backend, settings: Settings) -> Place:
    objects = Directory(bucket=settings.input_bucket)
    outside = Outside(
        blobs=backend.blobs,
        people=backend.people,
        objects=objects,
        replies=backend.replies,
        responses=lambda: backend.requests,
        dead=lambda: backend.dead,
        presign=None,
        once=Once("", None),
        keys=lambda: KEYS,
    )
    return Place(backend, settings, objects, function_of(outside, settings), outside)


def function_of(outside: Outside, settings: Settings, encode: Encoder = sees_colours) -> Function:
    work = Work(encode, Keeper(outside.people, outside.blobs), outside, settings)
    return Function(work, outside, settings, Teller(level="INFO"))


def answered(answer: Json) -> tuple[int, Json]:
    """The status, and the body's JSON."""
    return answer["statusCode"], json.loads(answer["body"])


def headers_of(answer: Json) -> dict[str, str]:
    """Of either version's answer, in small letters."""
    many = {name: values[-1] for name, values in answer.get("multiValueHeaders", {}).items()}
    return {name.lower(): value for name, value in {**many, **answer.get("headers", {})}.items()}


def keys_of(blobs: Any, *areas: str) -> list[str]:
    return sorted(info.key for area in areas for info in blobs.list(area))

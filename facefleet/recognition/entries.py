"""Somebody as the gallery holds them: who they are, and the centres of their encodings. Photos stay in the store."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pybase64 as base64

from facefleet.model import Person, Photo, Rejection
from facefleet.recognition.identification import centres
from facefleet.recognition.index import DIMENSIONS, Rows


@dataclass(frozen=True, slots=True)
class Entry:
    """One person. `about` is everything but the photos, as JSON: it costs a third of what the objects would."""

    id: str
    about: bytes
    #: None where there are no photos.
    rows: Rows = field(repr=False)

    def person(self) -> Person:
        return person_of(self.id, self.about)


def entry(person: Person) -> Entry:
    """The person's place in a gallery."""
    about = {
        "name": person.name,
        "attributes": dict(person.attributes),
        "version": person.version,
        "rejections": [{"id": r.id, "encoding": base64.b64encode_as_string(r.encoding)} for r in person.rejections],
    }
    return Entry(person.id, json.dumps(about).encode(), centres(encodings(person.photos)))


def encodings(photos: Iterable[Photo]) -> Rows:
    """The photos' encodings as rows."""
    return np.frombuffer(b"".join(photo.encoding for photo in photos), "<f4").reshape(-1, DIMENSIONS)


def person_of(id: str, about: bytes) -> Person:
    """The person again, without photos."""
    body = json.loads(about)
    rejections = tuple(Rejection(r["id"], base64.b64decode(r["encoding"])) for r in body["rejections"])
    return Person(id, body["name"], body["attributes"], (), body["version"], rejections)

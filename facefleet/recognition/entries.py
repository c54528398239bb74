"""Somebody as the gallery holds them: who they are, and the centres of their encodings. Photos stay in the store."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from facefleet.model import Person, Photo, Rejection
from facefleet.recognition.identification import centres
from facefleet.recognition.index import Rows
from facefleet.recognition.weights import DIMENSIONS
from facefleet.wire import dump_person, load_person


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
    return Entry(person.id, dump_person(replace(person, photos=())).encode(), centres(encodings(person.photos)))


def encodings(of: Iterable[Photo | Rejection]) -> Rows:
    """Their encodings as rows, shape (n, 128)."""
    return np.frombuffer(b"".join(one.encoding for one in of), "<f4").reshape(-1, DIMENSIONS)


def person_of(id: str, about: bytes) -> Person:
    """The person again, without photos, and without a version: no value to store."""
    return load_person(id, 0, about.decode())

"""Who is enrolled, as a roster reads and changes them: by the service, or straight in its store."""

from collections.abc import Iterator, Sequence
from typing import Protocol
from urllib.parse import quote

from facefleet.backends import connect_people
from facefleet.cli.client import Client, Refused
from facefleet.encodings import enrolled, unpacked
from facefleet.errors import Conflict
from facefleet.model import Box, Person, Photo
from facefleet.people import changed, newcomer, update
from facefleet.ports import People
from facefleet.settings import Settings
from facefleet.wire import Json

#: People that the store hands out at once.
PAGE = 100


class Register(Protocol):
    """`about` is a name, or attributes, or both, as in the service's JSON. Again is harmless."""

    def everybody(self) -> Iterator[Person]:
        """By id; photos perhaps without their encodings, which the service tells nobody."""

    def add(self, person_id: str, about: Json) -> None:
        """Somebody new; who is there by now is changed."""

    def change(self, person_id: str, about: Json) -> None:
        """An attribute of None goes."""

    def enrol(self, person_id: str, encodings: Sequence[bytes]) -> None:
        """Adds encodings of somebody who is there."""


class OverHttp:
    def __init__(self, client: Client) -> None:
        self._client = client

    def everybody(self) -> Iterator[Person]:
        for body in self._client.people():
            photos = tuple(Photo(photo["id"], Box(**photo["box"]), b"") for photo in body["photos"])
            yield Person(body["id"], body["name"], body["attributes"], photos=photos)

    def add(self, person_id: str, about: Json) -> None:
        try:
            self._client.call("POST", "/v1/people", json={"id": person_id, **about})
        except Refused as e:
            if e.code != "person_exists":
                raise
            self.change(person_id, about)

    def change(self, person_id: str, about: Json) -> None:
        self._client.call("PATCH", f"/v1/people/{quote(person_id)}", json=about)

    def enrol(self, person_id: str, encodings: Sequence[bytes]) -> None:
        body = {"encodings": [unpacked(encoding) for encoding in encodings]}
        self._client.call("POST", f"/v1/people/{quote(person_id)}/encodings", json=body)


class InStore:
    def __init__(self, people: People) -> None:
        self._people = people

    def everybody(self) -> Iterator[Person]:
        page = self._people.list(limit=PAGE)
        while page:
            yield from page
            page = self._people.list(after=page[-1].id, limit=PAGE)

    def add(self, person_id: str, about: Json) -> None:
        try:
            self._people.put(newcomer(person_id, about))
        except Conflict:
            self.change(person_id, about)

    def change(self, person_id: str, about: Json) -> None:
        update(self._people, person_id, lambda person: changed(person, about))

    def enrol(self, person_id: str, encodings: Sequence[bytes]) -> None:
        update(self._people, person_id, lambda person: enrolled(person, encodings))


def register_of(settings: Settings, *, store: bool) -> Register:
    """The service's, at its address; or the store's own, with whoever's credentials this process has."""
    return InStore(connect_people(settings)) if store else OverHttp(Client(settings))

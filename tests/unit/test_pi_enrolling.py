"""Enrolling at the camera: photo by photo, until so many are taken by the service, or it is no use to go on."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlsplit

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory
from standin import Asked, Said, StandIn, json_said, problem

from facefleet import people as theirs
from pi_uploader import enrol as enrolling
from pi_uploader.answers import Answer, Outcome
from pi_uploader.camera import CameraError
from pi_uploader.client import Client, opened
from pi_uploader.enrol import Arrivals, enrol, person_id
from pi_uploader.lights import Lights
from pi_uploader.settings import BadSettings, Settings
from pi_uploader.spool import Item
from pi_uploader.tally import ADVICE, SAME

ENROLLED = json_said(201, {"photo": {"id": "p", "quality": {}}})
NO_FACE = problem(422, "no_face", "0 faces found, 1 is needed: send a sharper photo, seen from the front")
NOT_FOUND = problem(404, "not_found", "no such person")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Device, "pin_factory", MockFactory())
    monkeypatch.setattr(enrolling, "RETRY", 0.05)


@dataclass
class Service:
    """Of one person, who is there `before` or not; what it says of each photo in turn, the last for good."""

    photos: list[Said]
    before: bool = False
    troubles: list[Said] = field(default_factory=list)
    added: list[dict[str, str]] = field(default_factory=list)

    def reply(self, asked: Asked) -> Said:
        path = urlsplit(asked.path).path
        if self.troubles:
            return self.troubles.pop(0)
        if path.endswith("/photos"):
            return self.photos.pop(0) if len(self.photos) > 1 else self.photos[0]
        if asked.method == "GET":
            return json_said(200, {"photos": [{}, {}]}) if self.before else NOT_FOUND
        self.added.append(json.loads(asked.body))
        return problem(409, "person_exists") if self.before else json_said(201, self.added[-1])


@dataclass
class Stage:
    client: Client
    arrivals: Arrivals
    said: "SimpleQueue[str]"
    standin: StandIn

    def enrol(self, photos: int, name: str = "Mary Smith") -> bool:
        return enrol(self.client, self.arrivals, name, photos, pause=0.0)

    @property
    def words(self) -> list[str]:
        return [self.said.get() for _ in range(self.said.qsize())]

    @property
    def sent(self) -> int:
        return sum(urlsplit(asked.path).path.endswith("/photos") for asked in self.standin.asked)


@contextmanager
def staged(service: Service, folder: Path, photos: Path) -> Iterator[Stage]:
    said, arrivals = SimpleQueue[str](), Arrivals()
    with StandIn(service.reply) as standin:
        settings = Settings(url=standin.url, data=str(folder), camera=f"folder:{photos}", free_bytes=0)
        lights = Lights(settings)
        with opened(
            settings, lights, said.put, lambda item, answer, _: arrivals.answered(item, answer), uploads=1
        ) as client:
            yield Stage(client, arrivals, said, standin)
        lights.close()


def test_as_many_photos_as_are_wanted_are_enrolled_and_no_more(tmp_path: Path, photos: Path) -> None:
    service = Service([ENROLLED])
    with staged(service, tmp_path, photos) as stage:
        assert stage.enrol(7)
        words = stage.words
    assert service.added == [{"id": "Mary_Smith", "name": "Mary Smith"}]
    assert stage.sent == 7
    assert "[##..................] 1/7 enrolled" in words
    assert words[-2:] == ["[####################] 7/7 enrolled", "7 of 7 photos of Mary Smith enrolled, 7 taken"]
    assert [line.strip() for line in words if line.startswith("  ")] == list(enrolling.PROMPTS[:3])


def test_what_is_kept_where_is_said_before_anything_is_taken(tmp_path: Path, photos: Path) -> None:
    with staged(Service([ENROLLED]), tmp_path, photos) as stage:
        stage.enrol(1)
        there, here, *_ = stage.words
    assert stage.standin.url in there and "facefleet people erase Mary_Smith" in there
    assert "7 days" in here


def test_a_photo_that_is_refused_is_told_in_the_services_words_and_another_taken(tmp_path: Path, photos: Path) -> None:
    blurred = problem(422, "face_too_blurred", "the face is blurred: keep still, or enrol it all the same with force")
    with staged(Service([NO_FACE, ENROLLED, blurred, ENROLLED]), tmp_path, photos) as stage:
        assert stage.enrol(2)
        words = stage.words
    assert stage.sent == 4
    assert "  not this one: 0 faces found, 1 is needed: send a sharper photo, seen from the front" in words
    # Nobody here can force it.
    assert "  not this one: the face is blurred: keep still" in words
    assert words[-1] == "2 of 2 photos of Mary Smith enrolled, 4 taken"


def test_the_same_refusal_again_and_again_ends_it_with_advice(tmp_path: Path, photos: Path) -> None:
    with staged(Service([ENROLLED, NO_FACE]), tmp_path, photos) as stage:
        assert not stage.enrol(5)
        words = stage.words
    assert stage.sent == 1 + SAME
    assert words[-2] == f"given up: the same {SAME} times, one after another: {ADVICE['no_face']}"
    assert words[-1] == "1 of 5 photos of Mary Smith enrolled, 11 taken"


def test_somebody_who_is_enrolled_already_gets_more_photos(tmp_path: Path, photos: Path) -> None:
    with staged(Service([ENROLLED], before=True), tmp_path, photos) as stage:
        assert stage.enrol(1)
        words = stage.words
    assert "Mary_Smith is there already, with 2 photos: these are added" in words


@pytest.mark.parametrize(("status", "code"), [(401, "key_required"), (403, "scope_missing")])
def test_a_key_that_may_not_enrol_ends_it_before_a_photo_is_taken(
    tmp_path: Path, photos: Path, status: int, code: str
) -> None:
    with staged(Service([ENROLLED], troubles=[problem(status, code, "not you")]), tmp_path, photos) as stage:
        assert not stage.enrol(1)
        words = stage.words
    assert words[-2].startswith("given up: ") and "correct api_key, with one that may enrol" in words[-2]
    assert stage.sent == 0


def test_a_service_that_is_away_is_waited_for_and_said_once(tmp_path: Path, photos: Path) -> None:
    away = problem(503, "busy", "come back", Retry_After="0")
    with staged(Service([away, away, ENROLLED], troubles=[away] * 4), tmp_path, photos) as stage:
        assert stage.enrol(1)
        words = stage.words
    assert sum("it is tried again" in line for line in words) == 1
    assert sum("1 capture waits" in line for line in words) == 1
    assert words[-1] == "1 of 1 photos of Mary Smith enrolled, 1 taken"


def test_an_answer_that_does_not_come_is_told_and_ctrl_c_deletes_the_photo(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrolling, "PATIENCE", 0.1)
    ends, service, waits = threading.Event(), Service([ENROLLED]), list[str]()

    def answer(asked: Asked) -> Said:
        if "/photos" not in asked.path:
            return service.reply(asked)
        ends.wait(30)
        return problem(503, "busy", "come back")

    with staged(service, tmp_path, photos) as stage:

        def say(words: str) -> None:
            waits.append(words)
            if words.startswith("no answer for"):
                stage.arrivals.stop()
                ends.set()

        stage.client.say, stage.standin.replies = say, [answer]
        assert not stage.enrol(3)
    assert any("Ctrl-C ends this, and deletes the photo" in words for words in waits)
    assert "stopped; what was not sent is deleted" in waits
    assert list((tmp_path / "spool").glob("*.jpg")) == []


def test_a_service_that_is_away_for_good_is_left_by_ctrl_c(tmp_path: Path, photos: Path) -> None:
    away = problem(503, "busy", "come back")
    with staged(Service([ENROLLED], troubles=[away] * 1000), tmp_path, photos) as stage:
        threading.Timer(0.2, stage.arrivals.stop).start()
        assert not stage.enrol(1)
        assert "stopped" in stage.words


def test_the_answer_to_another_photo_is_not_taken_for_this_ones() -> None:
    arrivals, answer = Arrivals(), Answer(Outcome.ENROLLED, "enrolled")
    earlier, this = (Item(number, 0.0, str(number), "enrol-x", "jpg") for number in (1, 2))
    arrivals.answered(earlier, Answer(Outcome.REFUSED, "no"))
    arrivals.answered(this, answer)
    assert arrivals.answer_to(this, 5.0) is answer


def test_a_camera_that_is_not_there_adds_nobody(tmp_path: Path) -> None:
    with staged(Service([ENROLLED]), tmp_path / "data", tmp_path / "nowhere") as stage:
        with pytest.raises(CameraError, match="no folder"):
            stage.enrol(1)
        assert stage.standin.asked == []


def test_a_camera_that_fails_meanwhile_is_told_and_tried_again(tmp_path: Path, photos: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes((photos / "obama.jpg").read_bytes())
    with staged(Service([ENROLLED]), tmp_path / "data", folder) as stage:
        stage.client.open_camera()
        (folder / "a.jpg").unlink()
        assert not stage.enrol(5)
        words = stage.words
    assert sum("there are no photos in" in line for line in words) == SAME
    assert "--check" in words[-2]


@pytest.mark.parametrize(
    "name", ["Mary Smith", "  x", ".hidden", "-n", "Zoë", "Zoe\u0308", "a/b\\c", "李小龍", "x" * 99]
)
def test_a_name_makes_the_id_that_the_services_own_tools_make_of_it(name: str) -> None:
    assert person_id(name) == theirs.id_of(name)


@pytest.mark.parametrize("name", ["", "   ", "...", "🙂", "ก" * 64])
def test_a_name_of_which_no_id_can_be_made_is_refused(name: str) -> None:
    with pytest.raises(BadSettings, match=r"name|long"):
        person_id(name)


@pytest.mark.parametrize("photos", [0, -1])
def test_no_photos_are_no_number_of_photos(tmp_path: Path, photos: int) -> None:
    with (
        staged(Service([ENROLLED]), tmp_path / "data", tmp_path) as stage,
        pytest.raises(BadSettings, match=re.escape(f"-n is {photos}")),
    ):
        stage.enrol(photos)

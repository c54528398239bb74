"""What is erased or purged is gone, and what came later is not."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facefleet import answers, course, keys, wire
from facefleet.backends import connect
from facefleet.errors import Unavailable
from facefleet.model import Appearance, Box, Face, Failure, Footage, Job, JobKind, Person, Photo, Rejection, Result
from facefleet.ports import Backend
from facefleet.recognition.encoder import EncodedFace
from facefleet.recognition.images import Picture
from facefleet.recognition.jobs import Jobs
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.processor import Processor
from facefleet.recognition.recogniser import Limits, Recogniser
from facefleet.settings import Settings
from web_tier.erasure import erase_everybody, erase_person, purge

BOX = Box(0, 0, 9, 9)


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return connect(Settings(data=tmp_path))


def a_job(id: str, filename: str = "a.jpg") -> Job:
    return Job(id, JobKind.RECOGNISE, filename, time.time())


def keep(backend: Backend, id: str, filename: str, person: str) -> None:
    backend.blobs.put(keys.input_image(filename), b"image")
    answers.store(backend.blobs, a_job(id, filename), Result(id, filename, (Face(BOX, 0.5, person_id=person),)))


def test_every_answer_that_names_the_erased_goes_with_its_image_and_others_stay(backend: Backend) -> None:
    backend.people.put(Person("paul", "Paul"))
    keep(backend, "1", "a.jpg", "paul")
    keep(backend, "2", "b.jpg", "mary")
    answers.promise(backend.blobs, "1")
    receipt = erase_person(backend.people, backend.blobs, backend.requests, "paul")
    assert receipt is not None and receipt["answers"] == 1
    left = {info.key for area in keys.FORGOTTEN for info in backend.blobs.list(area)}
    assert left == {"in/b.jpg", "out/b", "results/2.json"}


def test_a_clip_that_a_client_put_there_itself_goes_with_its_answer(backend: Backend) -> None:
    backend.people.put(Person("paul", "Paul"))
    source = keys.upload("1", "a.mp4")
    backend.blobs.put(source, b"clip")
    job = Job("1", JobKind.VIDEO, "a.mp4", time.time(), blob=source)
    seen = Result("1", "a.mp4", (Face(BOX, 0.5, person_id="paul"),))
    answers.store(backend.blobs, job, seen, b"clip")
    erase_person(backend.people, backend.blobs, backend.requests, "paul")
    assert [info.key for area in keys.FORGOTTEN for info in backend.blobs.list(area)] == []


def test_a_clip_in_which_the_erased_appeared_goes(backend: Backend) -> None:
    """Also where somebody else answers."""
    backend.people.put(Person("paul", "Paul"))
    job = Job("1", JobKind.VIDEO, "a.mp4", time.time())
    paul = Appearance(0.5, 1.0, 3, Face(BOX, 0.5, person_id="paul"), 0.5)
    seen = Result("1", "a.mp4", (Face(BOX, 0.5, person_id="mary"),), footage=Footage(9, 1.0, appearances=(paul,)))
    answers.store(backend.blobs, job, seen, b"clip")
    erase_person(backend.people, backend.blobs, backend.requests, "paul")
    assert answers.found(backend.blobs, keys.input_image("a.mp4")) is None


def test_a_refusal_that_names_the_erased_goes_as_well(backend: Backend) -> None:
    backend.people.put(Person("paul", "Paul"))
    why = Failure("nearer_to_another", "the face is identified as paul", person_id="paul")
    answers.store(backend.blobs, Job("1", JobKind.ENROL, "a.jpg", 0.0), Result("1", "a.jpg", error=why))
    erase_person(backend.people, backend.blobs, backend.requests, "paul")
    assert answers.stored(backend.blobs, "1") is None


def test_where_everybodys_encodings_were_deleted_a_worker_is_asked_for_the_file_again(backend: Backend) -> None:
    for id in ("paul", "mary"):
        backend.people.put(Person(id, id.title()))
    backend.blobs.put(keys.SNAPSHOT, b"encodings")
    erase_person(backend.people, backend.blobs, backend.requests, "paul")
    erase_person(backend.people, backend.blobs, backend.requests, "mary")
    (message,) = backend.requests.receive(limit=10)
    assert wire.load_job(message.body).kind is JobKind.TIDY


def test_the_erasure_of_nobody_leaves_the_file_of_everybodys_encodings(backend: Backend) -> None:
    backend.blobs.put(keys.SNAPSHOT, b"encodings")
    assert erase_person(backend.people, backend.blobs, backend.requests, "nobody") is None
    assert backend.blobs.get(keys.SNAPSHOT) == b"encodings"


def test_an_erasure_that_was_cut_short_is_finished_when_it_is_asked_for_again(backend: Backend) -> None:
    """The person was gone, and the process with it."""
    backend.blobs.put(keys.photo("paul", "p"), b"photo")
    backend.blobs.put(keys.SNAPSHOT, b"encodings")
    assert erase_person(backend.people, backend.blobs, backend.requests, "paul") is None
    assert answers.found(backend.blobs, keys.SNAPSHOT) is None
    assert list(backend.blobs.list(keys.PHOTOS)) == []


def test_encodings_lie_with_the_answer_alone_and_go_with_it(backend: Backend) -> None:
    face = Face(BOX, 0.5, person_id="paul", encoding=b"\1" * 512)
    body = answers.store(backend.blobs, a_job("1"), Result("1", "a.jpg", (face,)))
    assert answers.stored(backend.blobs, "1") == body == json.loads(json.dumps(body))
    assert "encoding" not in json.dumps(body)
    whole = answers.stored_whole(backend.blobs, "1")
    assert whole is not None and answers.encoding_of(whole, 0) == face.encoding
    backend.people.put(Person("paul", "Paul", rejections=(Rejection("1-0", face.encoding),)))
    erase_person(backend.people, backend.blobs, backend.requests, "paul")
    assert answers.stored_whole(backend.blobs, "1") is None and backend.people.list() == ()


@pytest.mark.parametrize("everybody", [False, True])
def test_an_erasure_deletes_the_file_that_has_everybodys_encodings(backend: Backend, everybody: bool) -> None:
    backend.people.put(Person("paul", "Paul"))
    backend.blobs.put(keys.SNAPSHOT, b"encodings")
    if everybody:
        erase_everybody(backend.people, backend.blobs)
    else:
        erase_person(backend.people, backend.blobs, backend.requests, "paul")
    assert answers.found(backend.blobs, keys.SNAPSHOT) is None


def test_somebody_erased_while_a_worker_looks_is_not_named(backend: Backend, photos: Path) -> None:
    encoding = bytes(512)
    backend.people.put(Person("paul", "Paul", {}, (Photo("p", BOX, encoding),)))

    def erased_meanwhile(picture: Picture) -> list[EncodedFace]:
        erase_person(backend.people, backend.blobs, backend.requests, "paul")
        return [EncodedFace(BOX, np.zeros(128, np.float32), np.zeros((150, 150, 3), np.uint8))]

    keeper = Keeper(backend.people, backend.blobs)
    keeper.refresh()
    recogniser = Recogniser(erased_meanwhile, keeper, Limits(10**8, threshold=0.5))
    process = Processor(recogniser, backend.people, backend.blobs)
    assert process(a_job("1"), (photos / "obama.jpg").read_bytes()).answer == "unknown"


def test_a_purge_leaves_what_came_after_it(backend: Backend, tmp_path: Path) -> None:
    keep(backend, "1", "old.jpg", "paul")
    backend.blobs.put(keys.claim("later"), b"image")
    later = time.time() + 60
    (path,) = (path for path in tmp_path.rglob("*later*"))
    os.utime(path, (later, later))
    removed = purge(backend.requests, backend.dead, backend.blobs)
    assert removed["blobs"] == 3
    assert [info.key for info in backend.blobs.list(keys.INPUT)] == [keys.claim("later")]
    assert answers.purged_since(backend.blobs, submitted_at=0.0)
    assert not answers.purged_since(backend.blobs, submitted_at=time.time())


class Unmarked:
    """Blobs of which one cannot be written."""

    def __init__(self, backend: Backend) -> None:
        self._blobs = backend.blobs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def put(self, key: str, data: bytes) -> None:
        raise Unavailable("S3 does not allow it")


def test_an_erasure_is_told_to_who_asks_again_and_goes_on_where_that_cannot_be(backend: Backend) -> None:
    for blobs, marked in ((Unmarked(backend), False), (backend.blobs, True)):
        backend.people.put(Person("paul", "Paul"))
        keep(backend, "1", "a.jpg", "paul")
        before = time.time()
        erased = erase_person(backend.people, blobs, backend.requests, "paul")
        assert erased is not None and erased["answers"] == 1
        assert answers.erased_since(backend.blobs, before) is marked
        assert not answers.erased_since(backend.blobs, time.time())


class Stuck:
    """A queue that cannot be purged now."""

    def purge(self) -> int:
        raise Unavailable("SQS does not answer")


def test_a_purge_that_one_queue_refuses_takes_all_else_and_says_so(backend: Backend) -> None:
    keep(backend, "1", "old.jpg", "paul")
    backend.dead.send("letter")
    with pytest.raises(Unavailable):
        purge(Stuck(), backend.dead, backend.blobs)
    assert backend.dead.depth().backlog == 0
    assert [info.key for area in keys.FORGOTTEN for info in backend.blobs.list(area)] == []
    assert purge(backend.requests, backend.dead, backend.blobs) == {"messages": 0, "blobs": 0}


def test_a_folder_that_was_open_to_everybody_becomes_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    connect(Settings(data=tmp_path / "open"))
    assert (tmp_path / "open").stat().st_mode & 0o077 == 0


def test_a_result_too_large_for_a_reply_is_kept_and_is_no_error(backend: Backend) -> None:
    with backend.open_replies() as replies:
        job = Job("1", JobKind.RECOGNISE, "a.jpg", 0.0, reply_to=replies.name)
        body = answers.store(backend.blobs, job, Result("1", "a.jpg"))
        answers.reply(backend.replies, job, body | {"more": "x" * 2_000_000})
        assert replies.receive() == []
    assert json.loads(backend.blobs.get(keys.result("1")))["answer"] == "unknown"


def test_a_line_under_an_ending_goes_with_its_answer_and_another_s_stays(backend: Backend) -> None:
    """Whatever the setting is where it is erased: a web tier was not told what a function's is."""
    backend.people.put(Person("paul", "Paul"))
    for id, name, person in (("1", "a.mp4", "paul"), ("2", "b.mp4", "paul"), ("3", "b.mp4", "mary")):
        seen = Result(id, name, (Face(BOX, 0.5, person_id=person, attributes={"year": "senior"}),))
        body = course.store_line(["year"], ".csv")(backend.blobs, Job(id, JobKind.VIDEO, name, 0.0), seen, b"clip")
        assert answers.stored(backend.blobs, id) == body and "csv" not in json.dumps(body)
    assert backend.blobs.get("out/a.csv") == b"paul,senior\n"
    erase_person(backend.people, backend.blobs, backend.requests, "paul")
    assert [info.key for info in backend.blobs.list(keys.OUTPUT)] == ["out/b.csv"]


def test_of_a_clip_that_was_in_hand_while_everything_was_purged_nothing_is_kept(backend: Backend) -> None:
    face = Face(BOX, 0.5, person_id="paul")

    def process(job: Job, clip: bytes) -> Result:
        purge(backend.requests, backend.dead, backend.blobs)
        return Result(job.id, job.filename, (face,))

    jobs = Jobs(process, backend.blobs, backend.replies, stands=lambda result: True)
    told = jobs.done(Job("1", JobKind.VIDEO, "a.mp4", time.time(), image=b"clip"), again=False, received=0.0)
    assert told is not None and told["answer"] == "paul"
    assert [info.key for area in keys.FORGOTTEN for info in backend.blobs.list(area)] == []

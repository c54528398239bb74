"""A photo that is refused for a reason that a person may overrule: told so, and enrolled when told to."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
import requests
from described import Ask, asking
from services import Service, until

from facefleet import answers, wire
from facefleet.model import Box, Failure, Job, JobKind, Photo, Result

pytestmark = pytest.mark.slow

Enrol = Callable[..., requests.Response]

BLURRED = Failure("face_too_blurred", "the face is blurred: send a sharper photo", forcible=True)
NO_FACE = Failure("no_face", "no face found: send a sharper photo, seen from the front")
ANOTHER = Failure("nearer_to_another", "this looks more like biden: is it the right person?", forcible=True)
#: What a worker says of photos by these names; of any other, that it is enrolled.
REFUSED = {"blurred.jpg": BLURRED, "wall.jpg": NO_FACE, "other.jpg": ANOTHER}


def result_of(job: Job) -> Result:
    failure = REFUSED.get(job.filename)
    if failure and not (failure.forcible and job.force):
        return Result(job.id, job.filename, error=failure)
    return Result(job.id, job.filename, photo=Photo(job.id, Box(1, 2, 3, 4), bytes(512)), person_id=job.person_id)


@contextmanager
def worker_at(service: Service, result_of: Callable[[Job], Result]) -> Iterator[None]:
    """Answers each job in a worker's place."""
    backend, stop = service.backend, Event()

    def work() -> None:
        while not stop.is_set():
            for message in backend.requests.receive(wait=20.0, stop=stop):
                job = wire.load_job(message.body)
                answers.reply(backend.replies, job, answers.store(backend.blobs, job, result_of(job)))
                backend.requests.ack(message)

    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A web tier whose worker is this test's."""
    service = Service(tmp_path_factory.mktemp("strict"))
    try:
        service.start("web_tier")
        until(service.answers)
        with worker_at(service, result_of):
            assert service.post("/v1/people", json={"id": "paul"}).status_code == 201
            yield service
    finally:
        service.stop()


@pytest.fixture(scope="module")
def ask(strict: Service) -> Ask:
    return asking(strict)


@pytest.fixture
def album(tmp_path: Path, photos: Path) -> Path:
    for name in ("blurred.jpg", "good.jpg", "other.jpg", "wall.jpg"):
        path = tmp_path / "album" / "paul" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((photos / "obama.jpg").read_bytes())
    return tmp_path / "album"


@pytest.fixture
def enrol(ask: Ask, photos: Path) -> Enrol:
    image = (photos / "obama.jpg").read_bytes()
    return lambda name, query="": ask("POST", f"/v1/people/paul/photos{query}", files={"file": (name, image)})


@pytest.mark.parametrize(("name", "status"), [("blurred.jpg", 422), ("other.jpg", 409)])
@pytest.mark.parametrize("query", ["?force=true", "?force=1"])
def test_a_refusal_says_that_it_may_be_overruled_and_is(name: str, status: int, query: str, enrol: Enrol) -> None:
    refused = enrol(name)
    assert (refused.status_code, refused.json()["code"]) == (status, REFUSED[name].code)
    assert refused.json()["forcible"] is True
    assert enrol(name, "?force=false").status_code == status
    assert enrol(name, query).status_code == 201


def test_what_nothing_helps_does_not_say_that_it_may_be_overruled(enrol: Enrol) -> None:
    for query in ("", "?force=true"):
        refused = enrol("wall.jpg", query)
        assert (refused.status_code, refused.json()["code"]) == (422, "no_face")
        assert "forcible" not in refused.json()


def test_a_force_that_is_neither_true_nor_false_is_a_problem_400(enrol: Enrol) -> None:
    assert enrol("good.jpg", "?force=perhaps").json()["code"] == "bad_force"


def test_the_photos_own_place_says_so_too(strict: Service, ask: Ask) -> None:
    id = "0123456789abcdef" * 2
    job = Job(id, JobKind.ENROL, "blurred.jpg", 0.0, person_id="paul")
    answers.store(strict.backend.blobs, job, result_of(job))
    refused = ask("GET", f"/v1/people/paul/photos/{id}")
    assert (refused.status_code, refused.json()["forcible"]) == (422, True)


def test_the_command_line_ends_with_how_many_it_would_force_and_forces_them(strict: Service, album: Path) -> None:
    run = strict.cli("enrol", str(album))
    assert run.returncode == 1
    assert run.stdout.splitlines()[-2:] == [
        "1 of 4 photos enrolled, 1 people",
        "2 of these may be enrolled all the same: --force",
    ]
    forced = strict.cli("enrol", str(album), "--force")
    assert forced.returncode == 1 and forced.stdout.splitlines()[-1] == "3 of 4 photos enrolled, 1 people"
    report = json.loads(strict.cli("enrol", str(album), "--json").stdout)
    assert [(Path(r["photo"]).name, r["forcible"]) for r in report["refused"]] == [
        ("blurred.jpg", True),
        ("other.jpg", True),
        ("wall.jpg", False),
    ]

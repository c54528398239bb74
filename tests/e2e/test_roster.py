"""`facefleet roster` against a service, and a store that no service stands before; and encodings over HTTP."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from described import Ask, asking
from services import Service

from facefleet.backends import connect_people
from facefleet.recognition.encoder import open_encoder
from facefleet.recognition.images import Picture
from facefleet.settings import Settings

pytestmark = pytest.mark.slow

#: As the course's, with row numbers.
COURSE = [
    {"id": 1, "name": "student_bean", "major": "lawyer", "year": "freshmen"},
    {"id": 2, "name": "student_floki", "major": "history", "year": "junior"},
]
STUDENTS = ("student_bean", "student_floki", "student_astronaut", "student_by_hand")


@pytest.fixture
def ask(service: Service) -> Ask:
    return asking(service)


@pytest.fixture(autouse=True)
def nobody_stays(service: Service) -> Iterator[None]:
    yield
    for id in STUDENTS:
        service.cli("people", "erase", id, "--yes")


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "student_data.json"
    path.write_text(json.dumps(COURSE, indent=2))
    return path


@pytest.fixture(scope="module")
def encoding(stranger: Path, models: Path) -> list[float]:
    """Of the astronaut."""
    faces = open_encoder(models, smallest_face=0.03)(Picture(stranger.read_bytes(), max_pixels=10**7))
    return [float(value) for value in faces[0].encoding]


def attributes(service: Service, id: str) -> Any:
    return service.get(f"/v1/people/{id}").json()["attributes"]


def report(service: Service, *args: str) -> Any:
    run = service.cli("roster", *args, "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("command", [[], ["load"], ["export"], ["encodings"]], ids=" ".join)
def test_every_command_has_help_with_examples(command: list[str], tmp_path: Path) -> None:
    run = Service(tmp_path).cli("roster", *command, "--help")
    assert run.returncode == 0 and "Examples:" in run.stdout


def test_a_roster_is_shown_first_then_loaded_and_then_there_is_nothing_to_do(service: Service, roster: Path) -> None:
    refused = service.cli("roster", "load", str(roster), stdin="n\n")
    assert refused.returncode == 1 and service.get("/v1/people/student_bean").status_code == 404
    assert "+ student_bean  major=lawyer, year=freshmen" in refused.stdout
    assert "not in the roster: 2 (biden, obama), left alone" in refused.stdout

    run = service.cli("roster", "load", str(roster), stdin="y\n")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.endswith("Add 2 people and change 0? [y/N]: 2 done\n")
    assert attributes(service, "student_bean") == {"major": "lawyer", "year": "freshmen"}
    again = service.cli("roster", "load", str(roster))
    assert again.returncode == 0 and again.stdout.splitlines()[-1] == "nothing to do"


def test_what_changes_is_shown_with_what_it_was(service: Service, roster: Path) -> None:
    service.cli("roster", "load", str(roster), "--yes")
    service.post("/v1/people", json={"id": "student_by_hand", "name": "H", "attributes": {"room": 7}})
    changed = [COURSE[0] | {"major": "history", "cool": True}, {"name": "student_by_hand", "year": "senior"}]
    roster.write_text(json.dumps(changed))
    shown = service.cli("roster", "load", str(roster), "--dry-run")
    assert "~ student_bean  major: lawyer → history; cool: true, which is new" in shown.stdout
    assert shown.stdout.endswith("2 to do; nothing was done\n")
    assert attributes(service, "student_bean")["major"] == "lawyer"
    told = report(service, "load", str(roster), "--yes", "--replace")
    assert told["done"] == 2 and {"what": "room", "old": 7, "new": None} in told["changed"][1]["changes"]
    assert attributes(service, "student_by_hand") == {"year": "senior"}
    assert service.get("/v1/people/student_by_hand").json()["name"] == "H"
    assert "student_floki" in told["left_alone"]


def test_of_a_wrong_file_nothing_is_done_and_its_line_is_told(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "class.csv"
    file.write_text("name,major\nstudent_bean,law\nstudent_floki\n")
    run = service.cli("roster", "load", str(file), "--yes")
    assert (run.returncode, run.stdout) == (1, "") and run.stderr.startswith("facefleet: line 3: 1 values")
    assert service.get("/v1/people/student_bean").status_code == 404
    missing = service.cli("roster", "load", str(tmp_path / "none.csv"), "--yes")
    assert missing.returncode == 1 and "cannot be read" in missing.stderr
    assert service.cli("roster", "load", str(file), "--json").returncode == 2


def test_where_it_ends_early_it_tells_at_whom_and_the_same_again_goes_on(service: Service, roster: Path) -> None:
    much = {"notes": "x" * 10_000}
    service.post("/v1/people", json={"id": "student_floki", "name": "F", "attributes": much})
    roster.write_text(json.dumps([COURSE[0], {"name": "student_floki", "more": "y" * 10_000}]))
    run = service.cli("roster", "load", str(roster), "--yes")
    assert run.returncode == 1 and "1 of 2 done, not student_floki; the same again goes on" in run.stderr
    assert "keep fewer" in run.stderr and attributes(service, "student_bean")["major"] == "lawyer"
    service.cli("people", "erase", "student_floki", "--yes")
    assert report(service, "load", str(roster), "--yes")["done"] == 1


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_an_export_that_is_loaded_changes_nothing(service: Service, tmp_path: Path, suffix: str) -> None:
    odd = {"n": 20, "ok": True, "=1+1": "@x", "half": 0.5, "text": ' a,"b"\n'}
    service.post("/v1/people", json={"id": "student_by_hand", "name": "=H", "attributes": odd | {"name": "x"}})
    file = tmp_path / f"all{suffix}"
    run = service.cli("roster", "export", str(file))
    assert run.stdout == f"3 people written to {file}\n"
    assert run.stderr == "left out, as a roster holds no attributes of these names: 'name'\n"
    for options in ([], ["--replace"]):
        told = report(service, "load", str(file), "--yes", *options)
        assert (told["done"], told["left_alone"], len(told["unchanged"])) == (0, [], 3)
    assert service.cli("roster", "export", str(file), stdin="n\n").returncode == 1
    assert service.cli("roster", "export", str(tmp_path / "all.txt")).returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_an_export_to_stdout_is_json(service: Service) -> None:
    assert {row["person"] for row in json.loads(service.cli("roster", "export").stdout)} == {"biden", "obama"}


def test_a_roster_goes_straight_into_a_store_without_a_service(roster: Path, tmp_path: Path) -> None:
    nowhere = Service(tmp_path)
    assert "facefleet up" in nowhere.cli("roster", "load", str(roster), "--yes").stderr
    assert report(nowhere, "load", str(roster), "--yes", "--store")["done"] == 2
    assert report(nowhere, "load", str(roster), "--dry-run", "--store")["unchanged"] == list(STUDENTS[:2])
    people = connect_people(Settings.from_env(nowhere.env))
    assert people.get("student_bean").attributes == {"major": "lawyer", "year": "freshmen"}
    assert len(json.loads(nowhere.cli("roster", "export", "--store").stdout)) == 2


def test_the_courses_pickle_makes_somebody_known_and_answers_tell_what_they_study(
    service: Service, ask: Ask, encoding: list[float], stranger: Path, tmp_path: Path
) -> None:
    file = tmp_path / "encoding"
    file.write_bytes(pickle.dumps({"name": ["student_astronaut"], "encoding": [np.array(encoding)]}))
    roster = tmp_path / "class.csv"
    roster.write_text("name,major,year\nstudent_astronaut,physics,senior\n")
    shown = service.cli("roster", "encodings", str(file), stdin="n\n")
    assert shown.returncode == 1 and "+ student_astronaut  1 encoding, a new person" in shown.stdout
    told = report(service, "encodings", str(file), "--yes")
    assert told["people"] == [{"id": "student_astronaut", "new_person": True, "new": 1, "present": 0}]
    service.cli("roster", "load", str(roster), "--yes")

    with stranger.open("rb") as photo:
        face = ask("POST", "/v1/recognitions", files={"file": photo}).json()["faces"][0]
    assert (face["person"], face["attributes"]) == ("student_astronaut", {"major": "physics", "year": "senior"})
    assert face["distance"] < 0.1
    assert report(service, "encodings", str(file), "--yes")["done"] == 0
    assert "nothing to do" in service.cli("roster", "encodings", str(file)).stdout


def test_encodings_enrolled_over_http_are_photos_without_a_picture_and_twice_is_once(
    ask: Ask, encoding: list[float]
) -> None:
    path = "/v1/people/student_astronaut/encodings"
    assert ask("POST", path, json={"encodings": [encoding]}).status_code == 404
    ask("POST", "/v1/people", json={"id": "student_astronaut", "name": "A"})
    first, again = (ask("POST", path, json={"encodings": [encoding, encoding]}) for _ in range(2))
    assert first.status_code == again.status_code == 201
    photo = first.json()["photos"][0]
    assert photo["box"] == {"x_min": 0, "y_min": 0, "x_max": 0, "y_max": 0}
    assert first.json() == again.json()
    photos = ask("GET", "/v1/people/student_astronaut").json()["photos"]
    assert photos == [photo]
    assert ask("GET", f"/v1/people/student_astronaut/photos/{photo['id']}").json() == {"photo": photo}
    assert ask("DELETE", "/v1/people/student_astronaut").json()["erased"]["encodings"] == 1


@pytest.mark.parametrize(
    "body", [{}, {"encodings": []}, {"encodings": [[0.1] * 127]}, {"encodings": [[5.0] * 128]}, {"encodings": "x"}]
)
def test_what_is_no_encoding_is_a_problem_that_says_so(ask: Ask, body: Any) -> None:
    ask("POST", "/v1/people", json={"id": "student_by_hand", "name": "A"})
    refused = ask("POST", "/v1/people/student_by_hand/encodings", json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_encoding")
    huge = json.dumps({"encodings": [[0.1] * 127 + [0]]}).replace("0]]", "1e999]]")
    assert ask("POST", "/v1/people/student_by_hand/encodings", data=huge).json()["code"] == "bad_encoding"


def test_a_pickle_that_holds_code_is_refused_before_the_service_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "encoding"
    file.write_bytes(b"cos\nsystem\n(S'touch /tmp/should-not-be-there'\ntR.")
    run = Service(tmp_path).cli("roster", "encodings", str(file), "--yes")
    assert run.returncode == 1 and "would call os.system" in run.stderr

"""`facefleet …` from a terminal: what it prints, where, and the exit codes."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from services import Service

pytestmark = pytest.mark.slow

COMMANDS = [
    [],
    ["up"],
    ["setup"],
    ["doctor"],
    ["calibrate"],
    ["simulate"],
    ["send"],
    ["enrol"],
    ["status"],
    ["purge"],
    ["load"],
    ["verify"],
    ["people"],
]
COMMANDS += [["people", verb] for verb in ("list", "erase", "reject", "unreject")]


@pytest.fixture
def nowhere(tmp_path: Path) -> Service:
    """The command line where no service runs."""
    return Service(tmp_path)


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.jpg"
    path.write_text("no image at all")
    return path


@pytest.fixture
def album(service: Service, tmp_path: Path, photos: Path, stranger: Path) -> Iterator[Path]:
    """A folder to enrol: Eileen C.'s one good photo, three that will not do, and files that are no photos by name."""
    person = tmp_path / "album" / "Eileen C."
    person.mkdir(parents=True)
    shutil.copy(stranger, person / "1 good.png")
    Image.new("RGB", (200, 200), "teal").save(person / "2 wall.JPG")
    (person / "3 text.jpg").write_text("no image at all")
    (person / "4 phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (person / "notes.txt").write_text("left out")
    (person / ".hidden.jpg").write_text("left out")
    (tmp_path / "album" / "loose.jpg").write_text("left out")
    yield tmp_path / "album"
    service.cli("people", "erase", "--yes", "Eileen_C.")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_examples(command: list[str], nowhere: Service) -> None:
    for option in ("--help", "-h"):
        run = nowhere.cli(*command, option)
        assert run.returncode == 0 and "Usage:" in run.stdout
        assert "Examples:" in run.stdout


def test_send_says_who_it_is_and_how_sure(service: Service, photos: Path) -> None:
    run = service.cli("send", str(photos / "obama2.jpg"), str(photos / "biden.jpg"))
    assert (run.returncode, run.stderr) == (0, "")
    first, second = run.stdout.splitlines()
    assert first.startswith(f"{photos / 'obama2.jpg'}: obama (distance 0.")
    assert second.startswith(f"{photos / 'biden.jpg'}: biden (distance 0.0")


def test_send_calls_a_stranger_unknown_and_that_is_no_failure(service: Service, stranger: Path, tmp_path: Path) -> None:
    wall = tmp_path / "wall.png"
    Image.new("RGB", (200, 200), "teal").save(wall)
    run = service.cli("send", str(stranger), str(wall))
    assert run.returncode == 0
    assert [line.partition(": ")[2][:7] for line in run.stdout.splitlines()] == ["unknown", "unknown"]
    assert "no face found" in run.stdout.splitlines()[1]


def test_send_as_json_is_the_result_a_line_for_each_file(service: Service, photos: Path, text_file: Path) -> None:
    run = service.cli("send", "--json", "--top-k", "2", str(photos / "obama2.jpg"), str(text_file))
    assert run.returncode == 1
    good, bad = (json.loads(line) for line in run.stdout.splitlines())
    assert good["answer"] == "obama" and len(good["faces"][0]["candidates"]) == 2
    assert (bad["filename"], bad["status"], bad["error"]["code"]) == ("notes.jpg", "failed", "not_an_image")


def test_one_bad_file_fails_the_send_and_keeps_no_other_from_its_answer(
    service: Service, photos: Path, text_file: Path, tmp_path: Path
) -> None:
    bad = [text_file, tmp_path / "missing.jpg", tmp_path]
    run = service.cli("send", *map(str, bad), str(photos / "obama.jpg"))
    assert run.returncode == 1
    assert run.stdout.startswith(f"{photos / 'obama.jpg'}: obama") and len(run.stdout.splitlines()) == 1
    lines = run.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(path) for path in bad]
    assert "not an image" in lines[0] and "No such file" in lines[1] and "directory" in lines[2]


def test_enrol_tells_each_photo_that_would_not_do_in_a_line_and_enrols_the_others(
    service: Service, album: Path, stranger: Path
) -> None:
    run = service.cli("enrol", str(album))
    assert run.returncode == 1 and "1 of 4 photos enrolled, 1 people" in run.stdout
    wall, text = album / "Eileen C." / "2 wall.JPG", album / "Eileen C." / "3 text.jpg"
    lines = run.stderr.splitlines()
    assert [line for line in lines if line.startswith(f"{wall}: ") and "found" in line]
    assert [line for line in lines if line.startswith(f"{text}: not an image")]
    assert "notes.txt" not in run.stderr and "loose" not in run.stderr and "Traceback" not in run.stderr
    assert service.cli("send", str(stranger)).stdout.startswith(f"{stranger}: Eileen_C.")


def test_enrol_as_json_is_a_report_of_what_was_refused(service: Service, album: Path) -> None:
    run = service.cli("enrol", "--json", str(album))
    assert run.returncode == 1
    report = json.loads(run.stdout)
    assert report["enrolled"] == 1
    assert [(r["person"], Path(r["photo"]).name, r["code"]) for r in report["refused"]] == [
        ("Eileen_C.", "2 wall.JPG", "no_face"),
        ("Eileen_C.", "3 text.jpg", "not_an_image"),
        ("Eileen_C.", "4 phone.HEIC", "not_an_image"),
    ]
    assert all(r["why"] for r in report["refused"])


def test_enrolling_the_same_folder_again_is_no_error(service: Service, album: Path) -> None:
    for name in ("2 wall.JPG", "3 text.jpg", "4 phone.HEIC"):
        (album / "Eileen C." / name).unlink()
    first, again = (service.cli("enrol", str(album)) for _ in range(2))
    assert (first.returncode, again.returncode, again.stderr.count("\n")) == (0, 0, first.stderr.count("\n"))
    assert again.stdout.splitlines() == ["0 of 1 photos enrolled, 0 people, 1 were there already"]


def test_a_folder_without_photos_is_wrong_usage_and_says_what_is_expected(nowhere: Service, tmp_path: Path) -> None:
    run = nowhere.cli("enrol", str(tmp_path))
    assert run.returncode == 2 and "a folder for each person" in run.stderr


def test_two_folders_that_would_be_one_person_are_wrong_usage(nowhere: Service, tmp_path: Path) -> None:
    for name in ("Mr Bean", "Mr_Bean"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").touch()
    run = nowhere.cli("enrol", str(tmp_path))
    assert run.returncode == 2 and "Mr Bean and Mr_Bean would be one person" in run.stderr


def test_people_are_listed_and_erased_after_a_question(service: Service, album: Path) -> None:
    service.cli("enrol", "--json", str(album))
    listed = [json.loads(line) for line in service.cli("people", "list", "--json").stdout.splitlines()]
    assert [p["name"] for p in listed if p["id"] == "Eileen_C."] == ["Eileen C."]
    table = service.cli("people", "list").stdout
    assert "obama" in table and "Eileen_C." in table

    kept = service.cli("people", "erase", "Eileen_C.", stdin="n\n")
    assert kept.returncode == 1 and "Eileen_C." in service.cli("people", "list").stdout
    erased = service.cli("people", "erase", "Eileen_C.", stdin="y\n")
    assert erased.returncode == 0 and "1 people, 1 photos, 1 encodings" in erased.stdout
    assert "Eileen_C." not in service.cli("people", "list").stdout
    again = service.cli("people", "erase", "--yes", "Eileen_C.")
    assert again.returncode == 0 and "nobody called Eileen_C." in again.stdout
    assert json.loads(service.cli("people", "erase", "--yes", "--json", "Eileen_C.").stdout) == {}


def test_somebody_is_erased_in_the_store_where_no_service_answers(nowhere: Service, tmp_path: Path) -> None:
    roster = tmp_path / "roster.json"
    roster.write_text('[{"name": "mr_bean", "major": "lawyer"}]')
    assert nowhere.cli("roster", "load", str(roster), "--store", "--yes").returncode == 0
    erased = nowhere.cli("people", "erase", "mr_bean", "--store", "--yes")
    assert erased.returncode == 0 and "1 people" in erased.stdout, erased.stderr
    again = nowhere.cli("people", "erase", "mr_bean", "--store", "--yes")
    assert "nobody called mr_bean" in again.stdout


def test_a_name_is_rejected_by_the_id_that_send_tells_and_the_command_to_undo_it_is_told(
    service: Service, photos: Path
) -> None:
    told = service.cli("send", str(photos / "obama2.jpg")).stdout.strip()
    rejected = service.cli("people", "reject", told.rpartition("; id ")[2])
    try:
        assert rejected.returncode == 0 and rejected.stdout.startswith("rejected: this is not obama.")
        assert ": obama" not in service.cli("send", str(photos / "obama2.jpg")).stdout
    finally:
        undone = service.cli(*rejected.stdout.strip().rpartition(": facefleet ")[2].split())
    assert undone.returncode == 0 and undone.stdout.startswith("undone: ")
    assert ": obama" in service.cli("send", str(photos / "obama2.jpg")).stdout


def test_a_rejection_as_json_is_for_scripts_and_one_that_cannot_be_says_why(service: Service, stranger: Path) -> None:
    id = json.loads(service.cli("send", "--json", str(stranger)).stdout)["id"]
    assert "; id" not in service.cli("send", str(stranger)).stdout, "nobody is named"
    for options, why in (([], "was given no name"), (["--face", "9"], "it has 1"), (["--person", "x"], "no person x")):
        refused = service.cli("people", "reject", id, *options)
        assert (refused.returncode, refused.stdout) == (1, "") and why in refused.stderr
    rejection = json.loads(service.cli("people", "reject", id, "--person", "obama", "--json").stdout)
    assert rejection == {"id": f"{id}-0", "person": "obama"}
    assert service.cli("people", "unreject", "obama", rejection["id"]).returncode == 0


def test_a_name_that_looks_like_markup_is_printed_as_it_is(service: Service) -> None:
    service.post("/v1/people", json={"id": "markup", "name": "[red]R[/] [/]"})
    run = service.cli("people", "list")
    service.cli("people", "erase", "--yes", "markup")
    assert run.returncode == 0 and "[red]R[/] [/]" in run.stdout


def test_status_tells_queue_fleet_and_reason(service: Service) -> None:
    run = service.cli("status")
    assert run.returncode == 0
    assert [line.split()[0] for line in run.stdout.splitlines()[:3]] == ["queue", "fleet", "decision"]
    fleet = json.loads(service.cli("status", "--json").stdout)
    assert fleet.keys() == service.fleet().keys()


def test_purge_asks_first_and_spares_people(service: Service, photos: Path) -> None:
    where = f"/v1/recognitions/{json.loads(service.cli('send', '--json', str(photos / 'obama.jpg')).stdout)['id']}"
    for answer in ("n\n", "\n", ""):
        refused = service.cli("purge", stdin=answer)
        assert refused.returncode == 1 and "Delete all messages, images and answers" in refused.stdout
    assert service.get(where).status_code == 200
    assert "PEOPLE" in service.cli("purge", "--people", stdin="n\n").stdout
    purged = service.cli("purge", stdin="y\n")
    assert purged.returncode == 0 and "removed:" in purged.stdout
    assert service.get(where).status_code == 404
    assert json.loads(service.cli("purge", "--yes", "--json").stdout).keys() == {"messages", "blobs"}
    assert "obama" in service.cli("people", "list").stdout


@pytest.mark.parametrize("command", [["status"], ["send", "a.jpg"], ["people", "list"], ["up"]], ids=" ".join)
def test_an_unknown_setting_ends_with_78_and_is_named(command: list[str], tmp_path: Path) -> None:
    run = Service(tmp_path, settings={"FACEFLEET_PROT": "8000"}).cli(*command)
    assert (run.returncode, run.stdout) == (78, "")
    assert "FACEFLEET_PROT" in run.stderr and len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["status", "people list", "people erase x --yes", "purge --yes", "send", "enrol"])
def test_without_a_service_the_exit_code_is_1_and_stderr_says_how_to_start_one(
    command: str, nowhere: Service, photos: Path
) -> None:
    of_photos = {"send": str(photos / "obama.jpg"), "enrol": str(photos.parent / "people")}
    run = nowhere.cli(*command.split(), *([of_photos[command]] if command in of_photos else []))
    assert (run.returncode, run.stdout) == (1, "")
    assert "facefleet up" in run.stderr and nowhere.url in run.stderr and "Traceback" not in run.stderr

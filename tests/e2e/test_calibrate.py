"""`facefleet calibrate`: what it asks for where a folder will not do, and what it tells of one that does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from facefleet.cli.calibrate import calibrate
from facefleet.settings import Settings

pytestmark = pytest.mark.slow

Run = Callable[..., Result]


@pytest.fixture
def run(models: Path) -> Run:
    """The command, in this process: it needs no service."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(calibrate, list(map(str, arguments)), obj=Settings(models=models))

    return run


@pytest.fixture
def walls(tmp_path: Path) -> Path:
    """Eight folders with two photos each, and nobody on them."""
    for person in range(8):
        folder = tmp_path / "walls" / f"person {person}"
        folder.mkdir(parents=True)
        for photo in range(2):
            Image.new("RGB", (120, 120), (20 * person, 90, 100 * photo)).save(folder / f"{photo}.png")
    return tmp_path / "walls"


@pytest.fixture
def album(tmp_path: Path, photos: Path) -> Path:
    """Eight folders with two photos each, and a loose stranger: of the two people whom we have, in various sizes."""
    sources = [photos / f"{name}.jpg" for name in ("obama", "obama2", "biden")]
    for person in range(8):
        folder = tmp_path / "album" / "people" / f"person {person}"
        folder.mkdir(parents=True)
        with Image.open(sources[person % 3]) as image:
            for photo in range(2):
                small = image.convert("RGB")
                small.thumbnail((400 + 20 * person + 7 * photo,) * 2)
                small.save(folder / f"{photo}.png")
    (tmp_path / "album" / "strangers").mkdir()
    shutil.copy(photos / "obama_partial_face.jpg", tmp_path / "album" / "strangers" / "loose.jpg")
    return tmp_path / "album"


def test_the_command_has_help_with_examples(run: Run) -> None:
    told = run("--help")
    assert told.exit_code == 0 and "Examples:" in told.output and "--groups" in told.output


def test_an_empty_folder_is_wrong_usage_and_says_what_is_expected(run: Run, tmp_path: Path) -> None:
    told = run(tmp_path)
    assert told.exit_code == 2
    assert "no photos" in told.stderr and "a folder for each person" in told.stderr


def test_too_few_people_are_told_how_many_are_needed(run: Run, photos: Path) -> None:
    told = run(photos.parent / "people")
    assert told.exit_code == 2
    assert "0 of them have 4 photos or more, and 8 are needed" in told.stderr and "--enrol 1" in told.stderr


def test_photos_without_any_face_are_told_once_they_were_looked_at(run: Run, walls: Path) -> None:
    told = run(walls, "--enrol", "1")
    assert told.exit_code == 1
    assert "no face on any" in told.stderr and "Traceback" not in told.stderr


@pytest.mark.parametrize(
    "options",
    [("--picture", "/nowhere/rates.png"), ("--stranger-rate", "nan"), ("--stranger-rate", "1")],
    ids=["no folder for the picture", "no number", "everybody"],
)
def test_what_cannot_be_done_is_said_before_the_work(run: Run, walls: Path, options: tuple[str, str]) -> None:
    told = run(walls, "--enrol", "1", *options)
    assert told.exit_code == 2
    assert options[0] in told.stderr and "encoding" not in told.stderr


def test_what_only_looks_like_a_photo_counts_as_one_without_a_face_or_not_at_all(run: Run, album: Path) -> None:
    (album / "people" / "person 0" / "gone.jpg").symlink_to("nowhere")
    (album / "people" / "person 1" / "folder.jpg").mkdir()
    told = run(album, "--enrol", "1", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["photos_without_face"] == 1


@pytest.mark.parametrize("text", ["name,team\nperson 0,a\n", "person,group\nsomebody,a\n", "person,group\nperson 0\n"])
def test_a_file_of_groups_that_says_nothing_of_these_people_is_wrong_usage(
    run: Run, walls: Path, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "groups.csv"
    file.write_text(text)
    told = run(walls, "--enrol", "1", "--groups", file)
    assert told.exit_code == 2
    assert "groups.csv" in told.stderr and "person" in told.stderr


def test_a_folder_is_measured_and_told_as_json_with_groups_and_a_picture(run: Run, album: Path, tmp_path: Path) -> None:
    groups, picture = tmp_path / "groups.csv", tmp_path / "rates.png"
    groups.write_text("person,group\n" + "".join(f"person {i},{'ab'[i % 2]}\n" for i in range(8)))
    told = run(album, "--enrol", "1", "--json", "--groups", groups, "--picture", picture)
    assert told.exit_code == 0, told.output
    report = json.loads(told.stdout)
    assert (report["people"], report["strangers"], report["photos_without_face"]) == (8, 1, 0)
    assert report["stranger_rate"] == Settings().stranger_rate
    assert [group["name"] for group in report["groups"]] == ["a", "b"]
    assert report["recommended"]["people"] == 8 and 0 < report["recommended"]["stranger_rate"] <= 0.5
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_folder_is_told_as_tables_with_what_to_set(run: Run, album: Path) -> None:
    told = run(album, "--enrol", "1", "--stranger-rate", "0.05")
    assert told.exit_code == 0, told.output
    assert "Verification" in told.stdout and "Identification" in told.stdout
    assert "Wanted: 5.00%" in told.stdout and "set FACEFLEET_STRANGER_RATE=" in told.stdout
    assert "encoding" in told.stderr and "encoding" not in told.stdout

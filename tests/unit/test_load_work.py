"""What a load sends: which files, in which order, under which names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet import clipfile, imagefile
from facefleet.classroom.mapping import Expected, read
from facefleet.cli.loading.work import files_in, named, numbered, suffixes_of
from facefleet.errors import BadSettings

BOTH = suffixes_of(images=False, videos=False)
NAMES = st.lists(
    st.from_regex(r"[ab]{1,2}(-[12])?\.(jpg|png|mp4)", fullmatch=True), min_size=1, max_size=6, unique=True
)


def folder_with(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def sent(folder: Path, requests: int) -> list[str]:
    return [upload.name for upload in numbered(files_in(folder, BOTH), requests)]


def test_files_go_in_turn_and_from_the_second_time_on_under_a_number(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "test_10.jpg", "test_2.jpg", "test_1.mp4")
    assert sent(folder, 3) == ["test_1.mp4", "test_2.jpg", "test_10.jpg"]
    assert sent(folder, 7)[3:] == ["test_1-1.mp4", "test_2-1.jpg", "test_10-1.jpg", "test_1-2.mp4"]


def test_two_files_of_one_stem_have_two_outputs(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "a.jpg", "a.png", "a-1.jpg")
    assert sent(folder, 3) == ["a-1.jpg", "a.jpg", "a-2.png"]


@given(NAMES, st.integers(1, 40))
def test_no_two_uploads_have_one_output_and_each_file_has_its_turn(names: list[str], requests: int) -> None:
    files = [Path(name) for name in names]
    uploads = list(numbered(files, requests))
    assert len({upload.stem for upload in uploads}) == requests
    assert [upload.file for upload in uploads] == [files[i % len(files)] for i in range(requests)]
    assert [upload.number for upload in uploads] == list(range(requests))
    assert all(upload.name.endswith(upload.file.suffix) for upload in uploads)


def test_only_photos_or_only_clips_are_sent_where_that_is_wanted(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "a.jpg", "b.MP4", ".hidden.jpg", "labels.csv", "mapping", "c.h264")
    assert [one.name for one in files_in(folder, suffixes_of(images=True, videos=False))] == ["a.jpg"]
    assert [one.name for one in files_in(folder, suffixes_of(images=False, videos=True))] == ["b.MP4", "c.h264"]
    assert suffixes_of(images=True, videos=True) == BOTH == imagefile.SUFFIXES | clipfile.SUFFIXES


def test_a_folder_with_nothing_to_send_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"no file in it ends in .*\.jpg"):
        files_in(folder_with(tmp_path, "notes.txt"), BOTH)


def test_a_name_is_made_harmless_before_it_is_sent(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "a:b\nc.jpg")
    assert sent(folder, 1) == ["a_b_c.jpg"]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Clips, what they show, and a mapping that spells one word otherwise and leaves a number out."""
    folder = folder_with(tmp_path, "test_0.mp4", "test_1.mp4", "test_2.mp4")
    rows = ("test_0.mp4,trump,physics,junior", "test_1.mp4,biden,history,sophomore", "test_2.mp4,bean,lawyer,freshmen")
    (folder / "labels.csv").write_text("\n".join(("file,name,major,year", *rows, "")))
    lines = ("test_1.mp4:history,sophomore", "test_5.mp4:lawyer,freshman", "test_9.mp4:physics,junior")
    (folder / "mapping").write_text("\n".join(lines))
    return folder


def test_a_mapping_names_uploads_and_the_clip_for_each_is_the_one_that_shows_the_same(course: Path) -> None:
    uploads = list(named(files_in(course, BOTH), read(course / "mapping"), None))
    assert [(upload.name, upload.file.name) for upload in uploads] == [
        ("test_1.mp4", "test_1.mp4"),
        ("test_5.mp4", "test_2.mp4"),
        ("test_9.mp4", "test_0.mp4"),
    ]
    assert [upload.name for upload in named(files_in(course, BOTH), read(course / "mapping"), 2)] == [
        "test_1.mp4",
        "test_5.mp4",
    ]


def test_a_line_that_no_clip_fits_is_named(course: Path) -> None:
    wanted = (Expected("test_7.mp4", None, ("math", "senior")),)
    with pytest.raises(BadSettings, match=r"math, senior, as test_7\.mp4"):
        list(named(files_in(course, BOTH), wanted, None))


def test_without_labels_a_file_of_the_name_is_taken_and_else_files_in_turn(course: Path) -> None:
    (course / "labels.csv").unlink()
    uploads = list(named(files_in(course, BOTH), read(course / "mapping"), None))
    assert [upload.file.name for upload in uploads] == ["test_1.mp4", "test_1.mp4", "test_2.mp4"]


def test_more_uploads_than_a_mapping_names_are_refused(course: Path) -> None:
    with pytest.raises(BadSettings, match="names 3 files, and 4 are wanted"):
        list(named(files_in(course, BOTH), read(course / "mapping"), 4))

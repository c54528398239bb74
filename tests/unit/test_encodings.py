"""Files of encodings, and what becomes of them in a person."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facefleet.classroom.encodings import MAX_ENCODINGS, read
from facefleet.encodings import DIMENSIONS, enrolled, packed, photo_of, unpacked
from facefleet.errors import BadFile, BadImage, BadPerson
from facefleet.model import Box, Person
from facefleet.people import MAX_PHOTOS


def vector(seed: int) -> list[float]:
    """As long as a face's encoding."""
    values = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return [float(value) for value in 1.4 * values / np.linalg.norm(values)]


def float32(values: list[float]) -> bytes:
    return np.array(values, "<f4").tobytes()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "encoding"


TWO = {"name": ["mr_bean", "Vin Diesel"], "encoding": [vector(0), vector(1)]}


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(TWO),
        pickle.dumps({"name": TWO["name"], "encoding": [np.array(v) for v in TWO["encoding"]]}, protocol=2),
        pickle.dumps({"name": tuple(TWO["name"]), "encoding": np.array(TWO["encoding"])}, protocol=0),
        json.dumps(TWO).encode(),
        json.dumps({"names": TWO["name"], "encodings": TWO["encoding"]}).encode("utf-8-sig"),
    ],
    ids=["lists", "arrays", "one array", "JSON", "JSON with other names"],
)
def test_a_file_in_any_of_its_forms_tells_whose_the_encodings_are(data: bytes, file: Path) -> None:
    file.write_bytes(data)
    bean, diesel = read(file)
    assert (bean.id, bean.name, bean.encodings) == ("mr_bean", "mr_bean", (float32(vector(0)),))
    assert (diesel.id, diesel.name, diesel.encodings) == ("Vin_Diesel", "Vin Diesel", (float32(vector(1)),))


def test_a_name_that_stands_there_more_than_once_is_one_person_and_the_same_encoding_one(file: Path) -> None:
    file.write_bytes(pickle.dumps({"name": ["a", "b", "a", "a"], "encoding": [vector(i) for i in (0, 1, 2, 0)]}))
    assert [(one.id, len(one.encodings)) for one in read(file)] == [("a", 2), ("b", 1)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([1], "not a file of encodings"),
        ({"name": ["a"]}, "not a file of encodings"),
        ({"name": "a", "encoding": [vector(0)]}, "not a file of encodings"),
        ({"name": [], "encoding": []}, "names nobody"),
        ({"name": ["a", "b"], "encoding": [vector(0)]}, "2 names and 1 encodings"),
        ({"name": ["a"], "encoding": [vector(0)[:-1]]}, "encoding 1, of a: an encoding is a list of 128"),
        ({"name": ["a", "b"], "encoding": [vector(0), "x" * 128]}, "encoding 2, of b: .* numbers"),
        ({"name": ["..."], "encoding": [vector(0)]}, "encoding 1: its name is no name"),
        ({"name": [7], "encoding": [vector(0)]}, "encoding 1: its name is no name"),
        ({"name": ["a" * 201], "encoding": [vector(0)]}, "encoding 1: its name is no name .* 200"),
        ({"name": ["unknown"], "encoding": [vector(0)]}, "encoding 1: its name is no name"),
        ({"name": ["a"] * (MAX_ENCODINGS + 1), "encoding": [1] * (MAX_ENCODINGS + 1)}, "at most"),
    ],
)
def test_what_will_not_do_is_named(body: Any, words: str, file: Path) -> None:
    for data in (json.dumps(body).encode(), pickle.dumps(body)):
        file.write_bytes(data)
        with pytest.raises(BadFile, match=words):
            read(file)


@pytest.mark.parametrize("array", [np.ones((2, 3)), np.ones((1, 127)), np.ones(128)])
def test_an_array_of_another_shape_is_refused(array: Any, file: Path) -> None:
    file.write_bytes(pickle.dumps({"name": ["a", "b"], "encoding": array}))
    with pytest.raises(BadFile):
        read(file)


@pytest.mark.parametrize("data", [b"", b"name,encoding\na,1\n", b"\x89PNG", b"test_5.mp4:history,senior\n"])
def test_what_is_neither_pickle_nor_json_is_told_what_is_expected(data: bytes, file: Path) -> None:
    file.write_bytes(data)
    with pytest.raises(BadFile, match=r'neither a pickle nor JSON: .*"name".* is expected'):
        read(file)


def test_text_that_is_no_json_is_refused_with_its_line(file: Path) -> None:
    file.write_text('{"name": ["a"],\n "encoding": [[1,]]}')
    with pytest.raises(BadFile, match="line 2: not JSON"):
        read(file)


@pytest.mark.parametrize(
    "values",
    [
        [float("nan")] * DIMENSIONS,
        [*vector(0)[:-1], float("inf")],
        [1e308] * DIMENSIONS,
        [10**400] * DIMENSIONS,
        [0] * DIMENSIONS,
        [*vector(0)[:-1], True],
        [*vector(0)[:-1], "0.1"],
        [*vector(0)[:-1], None],
        [1.0] * DIMENSIONS,
        [value / 10 for value in vector(0)],
        [vector(0)] * DIMENSIONS,
        "a" * DIMENSIONS,
        {},
        None,
    ],
    ids=lambda values: repr(values)[:20],
)
def test_numbers_that_are_no_faces_are_refused(values: object) -> None:
    with pytest.raises(BadPerson) as refused:
        packed(values)
    assert refused.value.code == "bad_encoding"


def test_an_encoding_is_kept_as_a_photo_without_a_picture_and_twice_is_once() -> None:
    encoding = packed(vector(0))
    assert encoding == float32(vector(0)) and packed(unpacked(encoding)) == encoding
    photo = photo_of(encoding)
    assert (photo.box, photo.encoding) == (Box(0, 0, 0, 0), encoding) and len(photo.id) == 32
    once = enrolled(Person("a", "A"), [encoding])
    assert once.photos == (photo,) and enrolled(once, [encoding, encoding]) == once


def test_no_more_are_kept_than_photos() -> None:
    full = enrolled(Person("a", "A"), [packed(vector(seed)) for seed in range(MAX_PHOTOS)])
    assert enrolled(full, [packed(vector(0))]) == full
    with pytest.raises(BadImage) as refused:
        enrolled(full, [packed(vector(MAX_PHOTOS))])
    assert refused.value.code == "too_many_photos"

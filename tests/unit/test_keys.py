"""File names made harmless, and where each blob lies."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facefleet import keys

NAMES = st.text() | st.text(st.sampled_from("./\\: \t\0\u202ea🙂é"), max_size=300) | st.text("a ", min_size=250)


@given(name=NAMES)
@example("a" * 254 + " b")
@example("." * 255 + "a")
@example("\ud800")
@example("a\u0085b\u2028c")
def test_a_clean_name_is_harmless_whatever_came(name: str) -> None:
    clean = keys.clean_filename(name)
    assert 1 <= len(clean) <= 255
    assert not set("/\\:") & set(clean)
    assert not [c for c in clean if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert clean.strip(".") != ""
    assert clean == clean.strip()
    clean.encode()


@given(name=NAMES)
@example("a" * 254 + " b")
@example("." * 255 + "a")
def test_a_clean_name_is_clean(name: str) -> None:
    clean = keys.clean_filename(name)
    assert keys.clean_filename(clean) == clean


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("test_00.jpg", "test_00.jpg"),
        ("/etc/passwd", "passwd"),
        ("../../x.jpg", "x.jpg"),
        ("C:\\photos\\me.jpg", "me.jpg"),
        ("a:b.jpg", "a_b.jpg"),
        ("a\r\nb.jpg", "a__b.jpg"),
        ("Müller & Søn 🙂.jpg", "Müller & Søn 🙂.jpg"),
        (" x.jpg ", "x.jpg"),
        ("folder/", "folder"),
        (".hidden", ".hidden"),
        ("", "upload"),
        ("..", "upload"),
        ("///", "upload"),
        ("a/ ", "upload"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_name_keeps_what_is_harmless_of_it(sent: str, kept: str) -> None:
    assert keys.clean_filename(sent) == kept


@pytest.mark.parametrize(
    ("filename", "stem"),
    [("test_00.jpg", "test_00"), ("a.b.jpg", "a.b"), ("noend", "noend"), (".hidden", ".hidden"), ("x.", "x.")],
)
def test_the_answer_lies_under_the_stem(filename: str, stem: str) -> None:
    assert keys.stem(filename) == stem
    assert keys.answer(filename) == f"out/{stem}"


@given(name=NAMES)
def test_every_clean_name_has_a_place_for_its_answer(name: str) -> None:
    assert len(keys.answer(keys.clean_filename(name))) > len("out/")


def test_the_places_are_those_that_readers_know() -> None:
    assert keys.input_image("test_00.jpg") == "in/test_00.jpg"
    assert keys.answer("test_00.jpg") == "out/test_00"
    assert keys.heartbeat("w1") == "workers/w1"
    assert keys.photo("paul", "p1").startswith(keys.photos("paul"))
    assert not keys.photo("paula", "p1").startswith(keys.photos("paul"))


def test_what_is_forgotten_has_no_enrolled_photo() -> None:
    places = [
        keys.input_image("x"),
        keys.claim("1"),
        keys.answer("x"),
        keys.result("1"),
        keys.queued("1"),
        keys.sent("1"),
    ]
    assert all(place.startswith(keys.FORGOTTEN) for place in places)
    assert not keys.photo("paul", "1").startswith(keys.FORGOTTEN)

"""Keys of S3: ordinary names as they are, any other name there and back, and a prefix that misses nothing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facefleet.backends.aws.s3_keys import MAX_KEY_BYTES, Area, Layout, Place

LAYOUT = Layout({"in": "images", "out": "answers"}, "others")
OWN, SHARED = LAYOUT.area("in"), LAYOUT.area("photos")
AREAS = st.sampled_from([OWN, SHARED])

TRICKY = st.text(st.sampled_from("./%~\\ soap+?\x00\n\x7f\uffff🙂a"), min_size=1, max_size=20)
#: As long as a file name may be, of characters that take the most.
LONG = st.builds(lambda start, letter: (start + letter * 255)[:255], TRICKY, st.sampled_from("🙂%/.\na"))
NAMES = st.one_of(st.text(min_size=1, max_size=255), TRICKY, LONG)


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("in/test_00.jpg", Place("images", "test_00.jpg")),
        ("out/test_00", Place("answers", "test_00")),
        ("results/0b5e.json", Place("others", "results/0b5e.json")),
        ("photos/paul/1", Place("others", "photos/paul/1")),
        ("in/Zoë's day (1) +.jpg", Place("images", "Zoë's day (1) +.jpg")),
        ("in/.hidden", Place("images", ".hidden")),
        ("in/soap.jpg", Place("images", "soap.jpg")),
        ("in/claims/", Place("images", "claims/")),
    ],
)
def test_an_ordinary_name_is_the_objects_key(key: str, place: Place) -> None:
    assert LAYOUT.place(key) == place


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("..", "%2E%2E"),
        ("a/./b", "a/%2E/b"),
        ("/etc", "%2Fetc"),
        ("a//b", "a/%2Fb"),
        ("100%.jpg", "100%25.jpg"),
        ("a\nb", "a%0Ab"),
        ("soap", "soa%70"),
    ],
)
def test_what_would_be_taken_for_something_else_is_encoded(name: str, key: str) -> None:
    assert OWN.place(name).key == key


@given(area=AREAS, name=NAMES)
@example(area=SHARED, name="🙂" * 255)
@example(area=SHARED, name="/" * 255)
@example(area=SHARED, name="\n" * 255)
@example(area=OWN, name="./" * 127)
def test_a_name_comes_back_from_a_key_that_s3_takes(area: Area, name: str) -> None:
    key = area.place(name).key
    assert len(key.encode()) <= MAX_KEY_BYTES
    assert area.name(key) == name


@given(area=AREAS, name=NAMES)
def test_no_key_has_a_segment_that_a_url_loses(area: Area, name: str) -> None:
    segments = area.place(name).key.split("/")
    assert not {".", ".."} & set(segments)
    assert "" not in segments[:-1]


@given(area=AREAS, names=st.sets(NAMES, min_size=2, max_size=2))
@example(area=OWN, names={"soap", "soa%70"})
@example(area=OWN, names={"🙂" * 256, "🙂" * 257})
def test_two_names_have_two_keys(area: Area, names: set[str]) -> None:
    assert len({area.place(name).key for name in names}) == 2


@given(area=AREAS, name=NAMES, data=st.data())
def test_the_object_is_found_by_any_start_of_its_name(area: Area, name: str, data: st.DataObject) -> None:
    start = name[: data.draw(st.integers(0, len(name)))]
    assert area.place(name).key.startswith(area.prefix(start))


@pytest.mark.parametrize("length", [1, 63, 64, 65, 254, 255])
def test_a_packed_object_is_found_by_any_start_of_its_name(length: int) -> None:
    name = "🙂" * 255
    assert "%~" in SHARED.place(name).key
    assert SHARED.place(name).key.startswith(SHARED.prefix(name[:length]))


def test_a_person_is_listed_apart_from_everybody_else() -> None:
    assert SHARED.prefix("paul/") == "photos/paul/"
    assert SHARED.prefix("0b5e7a52-54b7-4f0c-9d0e-2f7c3bb1c001/") == "photos/0b5e7a52-54b7-4f0c-9d0e-2f7c3bb1c001/"


@given(area=AREAS, key=st.one_of(st.text(max_size=50), TRICKY))
@example(area=OWN, key="%~")
@example(area=OWN, key="%~Zm9v")
@example(area=OWN, key="%~////////////////")
@example(area=OWN, key="%zz.jpg")
@example(area=OWN, key="%61.jpg")
@example(area=SHARED, key="photos/")
def test_what_others_put_there_is_a_blob_only_under_the_key_that_we_would_have_given_it(area: Area, key: str) -> None:
    name = area.name(key)
    assert name is None or area.place(name).key == key


@pytest.mark.parametrize("key", ["in/" + "a" * 1025, "photos/" + "a" * 1018])
def test_a_name_that_s3_cannot_take_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="a key is at most 1024 bytes"):
        LAYOUT.place(key)

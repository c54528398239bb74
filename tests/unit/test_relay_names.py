"""Names of results' files: laws for whatever a stem is."""

from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openstack_relay.names import DEVICES, MAX_NAME_BYTES, named, older

ANY = st.text(st.characters(), max_size=300) | st.sampled_from(["", ".", "..", "con", "a/b", "~" * 9, "a" * 400])
HEXED = st.from_regex(r"[a-z ]{0,3}~[0-9a-f]{7,17}", fullmatch=True)


def test_an_ordinary_stem_is_its_files_name() -> None:
    assert [named(stem) for stem in ("test_0", "Mr Bean's clip.v2", "Łódź", "聖", "a~b")] == [
        *("test_0.txt", "Mr Bean's clip.v2.txt", "Łódź.txt", "聖.txt", "a~b.txt")
    ]


@pytest.mark.parametrize("stem", ["../../etc/passwd", "C:\\x", "..", ".bashrc", "nul", "COM1.tar", "a\0b", "a\nb", " "])
def test_a_stem_that_will_not_do_has_its_digest_behind(stem: str) -> None:
    assert "~" in named(stem)


@given(ANY | HEXED)
@example("con." + "a" * 300)
def test_a_name_is_harmless(stem: str) -> None:
    for name in (named(stem), older(named(stem), b"x\n")):
        assert not set(name) & set("/\\:\0") and name.isprintable()
        assert not name.startswith(".") and name.endswith(".txt")
        assert name.split(".")[0].strip().casefold() not in DEVICES
        assert 0 < len(name.encode()) <= MAX_NAME_BYTES


@given(st.lists(ANY | HEXED, min_size=2, max_size=6, unique=True), st.binary(max_size=3), st.binary(max_size=3))
def test_no_two_stems_meet_in_one_file_nor_with_an_older_result(stems: list[str], one: bytes, other: bytes) -> None:
    # Those that come, and those that somebody sends who has seen our names.
    every = {*stems, *(named(stem).removesuffix(".txt") for stem in stems)}
    names = {named(stem) for stem in every}
    aside = {older(named(stem), content) for stem in every for content in (one, other)}
    assert len(names) == len(every)
    assert not names & aside
    assert len(aside) == len(every) * len({one, other})


@given(ANY)
def test_two_spellings_of_one_name_do_not_meet_where_the_disk_makes_them_one(stem: str) -> None:
    other = normalize("NFD", stem)
    if other != stem:
        assert normalize("NFC", named(stem)) != normalize("NFC", named(other))

"""Pickles read as data: whatever stands in one, nothing of it is run, and it takes neither long nor much memory."""

import os
import pickle
import subprocess
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facefleet.classroom import picklefile
from facefleet.classroom.picklednumpy import Array
from facefleet.classroom.picklefile import MAX_DEPTH, MAX_OPCODES, load
from facefleet.errors import BadFile

VECTORS = [np.random.default_rng(seed).normal(size=128) for seed in range(3)]
PROTOCOLS = range(6)
#: As numpy wrote arrays before its version 2, and Python 2 texts.
OLD_NUMPY = (
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\ntR"
    b"(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nU\x10" + b"\0" * 6 + b"\xf0?" + b"\0" * 7 + b"@tb."
)


def plain(value: Any) -> Any:
    """With arrays as lists."""
    return list(value.values(most=10_000)) if isinstance(value, Array) else value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_lists_and_dicts_of_plain_values_are_what_pickle_makes_of_them(protocol: int) -> None:
    texts = ["a", "é", "\U0001f600", "x" * 300, ""]
    for value in (
        {"name": texts, "encoding": [[1.5, -2.5e-300], [0, -1, 255, 70_000, 2**40, -(2**70)], []]},
        [None, True, False, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {}, {"a": {"b": []}}],
    ):
        assert load(pickle.dumps(value, protocol=protocol)) == value


@given(st.recursive(st.text() | st.integers() | st.floats(allow_nan=False) | st.none() | st.booleans(), st.lists))
def test_any_list_comes_out_as_it_went_in(value: object) -> None:
    for protocol in PROTOCOLS:
        assert load(pickle.dumps(value, protocol=protocol)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", ">f4"])
def test_arrays_of_floats_come_out_whatever_their_order(kind: str, protocol: int) -> None:
    arrays = [vector.astype(kind) for vector in VECTORS]
    # Read-only arrays are written otherwise in protocol 5.
    arrays[1].flags.writeable = False
    found = load(pickle.dumps({"encoding": arrays}, protocol=protocol))
    assert isinstance(found, dict)
    assert [plain(value) for value in found["encoding"]] == [list(map(float, array)) for array in arrays]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_table_of_floats_and_single_ones_come_out(protocol: int) -> None:
    assert plain(load(pickle.dumps(np.stack(VECTORS), protocol=protocol))) == np.stack(VECTORS).ravel().tolist()
    assert load(pickle.dumps(list(VECTORS[0]), protocol=protocol)) == VECTORS[0].tolist()


def test_what_numpy_wrote_before_its_version_2_comes_out() -> None:
    assert plain(load(OLD_NUMPY)) == [1.0, 2.0]


def test_one_thing_in_many_places_comes_out_in_each() -> None:
    shared = ["a", "b"]
    assert load(pickle.dumps([shared, shared, VECTORS[0][:0].tolist()])) == [shared, shared, []]


class Runs:
    """Pickled, it is a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def harmful(canary: Path) -> list[Any]:
    touch = f"touch {canary}"
    return [
        Runs(os.system, touch),
        Runs(eval, f"open({str(canary)!r}, 'w')"),
        Runs(exec, f"open({str(canary)!r}, 'w')"),
        Runs(getattr, "a", "upper"),
        Runs(subprocess.check_call, touch.split()),
        Runs(np.load, str(canary)),
        Runs(np.fromfile, str(canary)),
        {"name": ["a"], "encoding": [Runs(os.system, touch)]},
        {"name": [Runs(os.system, touch)], "encoding": [VECTORS[0]]},
        [[[[Runs(os.system, touch)]]], VECTORS],
        (VECTORS[0], {"x": (Runs(os.system, touch),)}),
        np.array([Runs(os.system, touch)], dtype=object),
        Path("a"),
        {1, 2},
        frozenset(("a",)),
        complex(1, 2),
        np.array(["a"]),
        np.array([1]),
        np.asfortranarray(np.ones((3, 4))),
        np.ones((2, 2, 2)),
        ValueError("a"),
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("which", range(len(harmful(Path()))))
def test_nothing_is_run_and_what_is_more_than_plain_data_is_refused(which: int, protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    with pytest.raises(BadFile):
        load(pickle.dumps(harmful(canary)[which], protocol=protocol))
    assert not canary.exists()


def test_the_canary_would_sing() -> None:
    # Else the test above proves nothing.
    assert pickle.loads(pickle.dumps(Runs(eval, "6 * 7"))) == 42  # noqa: S301 (our own)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "would call os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", "would call os.system"),
        (b"(S'true'\nios\nsystem\n.", "byte 9: INST"),
        (b"(cos\nsystem\nS'true'\no.", "OBJ"),
        (b"\x80\x02cos\nsystem\n)\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"Pid\n.", "PERSID"),
        (b"]2.", "DUP"),
        (b"]0.", "POP"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.", "'O8'"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\n(I0\ntS'b'\ntR.", "would make a os.system"),
        (b"cos\nsystem\n}b.", "gives a state"),
        (b"]}b.", "gives a state"),
        (b"c_codecs\nencode\n(Va\nVrot13\ntR.", "an encoding that pickles do not have"),
        (b"c_codecs\nencode\n(Va\ntR.", "what it does not take"),
        (b"(Va\n(Vb\nVc\ntR.", "no function"),
        (b"", "not a whole pickle"),
        (b".", "left over"),
        (b"]", "not a whole pickle"),
        (b"]].", "left over"),
        (b"(].", "left over"),
        (b"a.", "what is not there"),
        (b"]a.", "what is not there"),
        (b"](a.", "what is not there"),
        (b"(Va\nsI1\n.", "what is not there"),
        (b"Va\n(Vb\n\x86t.", "what is not there"),
        (b"Va\nVb\na.", "no list"),
        (b"}I1\nI1\ns.", "keys must be texts"),
        (b"}(Va\nu.", "keys must be texts"),
        (b"e.", "not a whole pickle"),
        (b"h\x07.", "not a whole pickle"),
        (b"X\xff\xff\xff\x7fa.", "not a whole pickle"),
        (b"\x8a\x08abc", "not a whole pickle"),
        (b"I" + b"9" * 10_000 + b"\n.", "not a whole pickle"),
        (b"]]\x93.", "no text"),
        (b"PK\x03\x04", "not|PERSID"),
    ],
    ids=repr,
)
def test_what_is_refused_is_named(data: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        load(data)


def test_more_opcodes_or_more_depth_than_any_roster_has_are_refused() -> None:
    with pytest.raises(BadFile, match="opcodes"):
        load(b"]" * (MAX_OPCODES + 1) + b".")
    with pytest.raises(BadFile, match="deeper"):
        load(b"(" * (MAX_DEPTH + 1) + b"t.")


def nested(depth: int) -> bytes:
    """A list of ten times the list before, and so on: 10 to the power of `depth` items for whoever walks it all."""
    levels = [b"]q%c(" % (level + 1) + b"h%c" % level * 10 + b"e" for level in range(depth)]
    return b"(]q\0" + b"".join(levels) + b"t."


def long_text_again_and_again(times: int) -> bytes:
    """One text of a million characters, to be made bytes of an array each time."""
    text = b"X\x40\x42\x0f\x00" + b"a" * 1_000_000 + b"q\x00"
    encode = b"c_codecs\nencode\n(h\x00Vlatin1\ntR"
    dtype = b"cnumpy\ndtype\n(Vf8\nI0\nI1\ntRq\x01"
    array = b"cnumpy._core.numeric\n_frombuffer\n(" + encode + b"h\x01(I125000\ntVC\ntR"
    return b"(" + text + dtype + array * times + b"t."


@pytest.mark.parametrize(
    "data",
    [
        nested(200),
        long_text_again_and_again(2_000),
        b"]q\x00h\x00a.",
        b"]" * 500_000 + b"a" * 499_999 + b".",
        b"(" + b"]q\x00" + b"h\x00" * 500_000 + b"t.",
        b"c" + b"a" * 5_000_000 + b"\nb\n)R.",
        b"X\x40\x42\x0f\x00" + b"a" * 1_000_000 + b".",
        b"cnumpy\ndtype\n(Vf8\nI0\nI1\ntR(I3\nX\x40\x42\x0f\x00" + b"a" * 1_000_000 + b"tb.",
        b"\x8b\x40\x42\x0f\x00" + b"\x7f" * 1_000_000 + b".",
    ],
    ids=["nested", "long text", "in itself", "deep", "many times", "long name", "text", "long order", "long number"],
)
def test_a_bomb_takes_no_more_than_its_file_and_its_opcodes_allow(data: bytes) -> None:
    began = time.monotonic()
    tracemalloc.start()
    try:
        found = load(data)
        for item in found if isinstance(found, tuple) else ():
            if isinstance(item, Array):
                with pytest.raises(ValueError, match="at most 128"):
                    item.values(most=128)
    except BadFile as e:
        assert len(str(e)) < 500
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * len(data) + 200_000_000
    assert time.monotonic() - began < 30


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for start in (b"", b"\x80\x04", b"(", b"}(X\x04\x00\x00\x00name"):
        try:
            load(start + data)
        except BadFile as e:
            assert len(str(e)) < 500


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_pickle_with_any_of_its_bytes_changed_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(
        pickle.dumps({"name": ["a"], "encoding": [VECTORS[0][:4]]}, protocol=data.draw(st.sampled_from(PROTOCOLS)))
    )
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=3)):
        whole[at] = data.draw(st.integers(0, 255))
    try:
        load(bytes(whole))
    except BadFile as e:
        assert len(str(e)) < 500


def test_the_module_never_asks_pickle_itself() -> None:
    text = Path(picklefile.__file__).read_text()
    assert "import pickle\n" not in text and "import_module" not in text

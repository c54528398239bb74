"""Caddy's storage as one file: the same bytes for the same files, and nothing written but within its folder."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from ami.archive import MAX_FILES, pack, unpack
from facefleet.errors import BadMessage

CERTIFICATE = "certificates/local/203.0.113.5/203.0.113.5.crt"


def filled(folder: Path, **files: str) -> Path:
    for name, text in {CERTIFICATE: "a certificate", "pki/authorities/local/root.key": "a key", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return made.getvalue()


def test_what_was_packed_comes_back(tmp_path: Path) -> None:
    unpack(pack(filled(tmp_path / "one")), tmp_path / "other")
    assert (tmp_path / "other" / CERTIFICATE).read_text() == "a certificate"
    assert pack(tmp_path / "other") == pack(tmp_path / "one")


def test_it_is_the_same_whenever_it_was_written(tmp_path: Path) -> None:
    assert pack(filled(tmp_path / "one")) == pack(filled(tmp_path / "other"))
    assert pack(filled(tmp_path / "one", **{CERTIFICATE: "another"})) != pack(tmp_path / "other")


def test_locks_and_notes_stay_where_they_are(tmp_path: Path) -> None:
    one = filled(tmp_path / "one", **{"locks/a.lock": "", "last_clean.json": "{}", ".kept.json": "{}"})
    assert pack(one) == pack(filled(tmp_path / "other"))


def test_nothing_is_packed_where_nothing_is(tmp_path: Path) -> None:
    assert pack(tmp_path / "nowhere") == b""


def test_what_was_there_is_gone_and_keys_are_for_nobody_else(tmp_path: Path) -> None:
    old = filled(tmp_path / "old", **{"certificates/local/old/old.crt": "old"})
    unpack(pack(filled(tmp_path / "new")), old)
    assert not (old / "certificates/local/old").exists()
    assert stat.S_IMODE((old / "pki/authorities/local/root.key").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name",
    ["../outside", "certificates/../../outside", "/etc/passwd", "locks/a", "pki", "certificates/..\\..\\outside"],
)
def test_nothing_is_written_outside_its_folders(tmp_path: Path, name: str) -> None:
    folder = filled(tmp_path / "folder")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadMessage, match="no place of Caddy's"):
        unpack(zipped(CERTIFICATE, name), folder)
    assert sorted(tmp_path.rglob("*")) == before
    assert (folder / CERTIFICATE).read_text() == "a certificate"


@pytest.mark.parametrize(
    "data", [b"", b"no zip", zipped(CERTIFICATE)[:-30], zipped(CERTIFICATE).replace(b"x", b"y", 1)]
)
def test_what_is_damaged_changes_nothing(tmp_path: Path, data: bytes) -> None:
    folder = filled(tmp_path / "folder")
    with pytest.raises(BadMessage, match="bring an older version back"):
        unpack(data, folder)
    assert (folder / CERTIFICATE).read_text() == "a certificate"


def test_too_much_is_no_storage_of_caddys(tmp_path: Path) -> None:
    with pytest.raises(BadMessage, match="too large"):
        unpack(zipped(*(f"pki/{n}" for n in range(MAX_FILES + 1))), tmp_path)

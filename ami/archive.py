"""Some folders as one zip file: the same bytes for the same files, and taken apart nowhere but within its folder."""

import io
import shutil
import zipfile
from pathlib import Path, PurePosixPath

from facefleet.errors import BadMessage

#: Of Caddy's storage: the account with Let's Encrypt, certificates with their keys, Caddy's own authority. Locks and
#: what it noted of the last clean-up are each machine's own.
FOLDERS = ("acme", "certificates", "pki")
#: A domain's certificate takes 10 kB.
MAX_FILES, MAX_BYTES = 1000, 10_000_000


def pack(folder: Path) -> bytes:
    """Empty where there are no files."""
    files = sorted(path for name in FOLDERS for path in (folder / name).rglob("*") if path.is_file())
    if not files:
        return b""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path in files:
            # Its date is 1980, whenever that was written.
            archive.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes())
    return made.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """The folders as they were packed, instead of what they were; raises `BadMessage` before anything is changed."""
    files = _read(data)
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)


def _read(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise _bad("it is too large")
            if strays := [entry.filename for entry in entries if not _is_within(entry.filename)]:
                raise _bad(f"{strays[0]!r} is no place of Caddy's")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as e:
        raise _bad(str(e)) from e


def _is_within(name: str) -> bool:
    path = PurePosixPath(name)
    return len(path.parts) > 1 and path.parts[0] in FOLDERS and ".." not in path.parts and "\\" not in name


def _bad(why: str) -> BadMessage:
    return BadMessage(f"what is kept of certificates cannot be used: {why}: bring an older version back, or delete it")

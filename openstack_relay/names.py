"""What a result's file is called: by the stem of what came, and harmless whatever that is. Pure."""

import re
from hashlib import sha256
from unicodedata import is_normalized

ENDING = ".txt"
#: Bytes of a file's name; ext4 takes 255.
MAX_NAME_BYTES = 200
#: Behind a stem that would not do as it is, and behind one whose file keeps an older result.
HASHED, OLDER = 16, 8
MARK = "~"
MARKED = re.compile(rf"{MARK}(?:[0-9a-f]{{{OLDER}}}|[0-9a-f]{{{HASHED}}})\Z")
MAX_STEM_BYTES = MAX_NAME_BYTES - len(ENDING) - 2 * len(MARK) - HASHED - OLDER
#: Which Windows takes for devices, whatever ends them, where files are brought there:
#: https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"}
#: What a path, a drive or a stream of such a file would be.
PARTS = frozenset("/\\:\0")


def named(stem: str) -> str:
    """`test_0` → `test_0.txt`. No two stems share a name; one that will not do is cleaned, and has its digest behind.

    A name is no path, not hidden, no device, of 200 bytes at most, and says which stem it stands for where that will
    do as it is.
    """
    return (stem if _will_do(stem) else f"{_cleaned(stem)}{MARK}{_digest(stem)}") + ENDING


def older(name: str, content: bytes) -> str:
    """What the file is called that keeps a result which another one has come after."""
    return f"{name.removesuffix(ENDING)}{MARK}{sha256(content).hexdigest()[:OLDER]}{ENDING}"


def _will_do(stem: str) -> bool:
    return (
        stem.isprintable()
        and stem == stem.strip(" .")
        and bool(stem)
        and not PARTS & set(stem)
        and MARKED.search(stem) is None
        and not _is_device(stem)
        and len(stem.encode()) <= MAX_STEM_BYTES
        # As some file systems write all names: two that they make one would meet.
        and is_normalized("NFC", stem)
    )


def _is_device(stem: str) -> bool:
    return stem.split(".")[0].rstrip().casefold() in DEVICES


def _cleaned(stem: str) -> str:
    kept = "".join("_" if c in PARTS or not c.isprintable() else c for c in stem).strip(" .")
    cut = kept.encode()[: MAX_STEM_BYTES - 1].decode(errors="ignore")
    return f"_{cut}" if not cut or _is_device(cut) else cut


def _digest(stem: str) -> str:
    return sha256(stem.encode("utf-8", "surrogatepass")).hexdigest()[:HASHED]

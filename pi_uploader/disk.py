"""Files that are on the disk whole, or not at all."""

import os
from pathlib import Path

#: What a file in the making begins with.
MAKING = ".making-"


def write_whole(path: Path, data: bytes) -> None:
    """Made beside, synced, then renamed: a plug that is pulled leaves all of it or nothing. Raises `OSError`."""
    making = path.with_name(MAKING + path.name)
    try:
        with making.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        making.replace(path)
        sync_folder(path.parent)
    except OSError:
        for half in (making, path):
            half.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """A rename is on the disk only once its folder is. Windows has no such thing."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

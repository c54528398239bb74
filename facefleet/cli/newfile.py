"""A file that a command is to write in the end."""

from collections.abc import Sequence
from pathlib import Path

from facefleet.errors import BadSettings


def check(file: Path, endings: Sequence[str]) -> None:
    """Raises `BadSettings` where it will not do: better now than after an hour of work.

    `endings`: of its name, each a form that it can be written in.
    """
    if file.suffix.lower() not in endings:
        raise BadSettings(f"{file}: its form is known by its ending, which is {' or '.join(endings)}")
    if not file.absolute().parent.is_dir():
        raise BadSettings(f"{file}: there is no folder {file.absolute().parent}: make it first")

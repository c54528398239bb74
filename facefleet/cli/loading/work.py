"""What is sent: files of a folder, in turn, under names that no two of them share."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from facefleet import clipfile, imagefile, keys
from facefleet.classroom import mapping
from facefleet.classroom.mapping import Expected, Same
from facefleet.errors import BadSettings

#: Beside the clips of the course: what each file shows.
LABELS = "labels.csv"
#: More would take days, and their latencies more memory than a laptop spares.
MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Upload:
    """A file, and the name that it is sent under: outputs are called by that name's stem.

    `mark`: what makes it another file than any before; empty: it is sent as it is.
    """

    number: int
    file: Path
    name: str
    mark: str = ""

    @property
    def stem(self) -> str:
        return keys.stem(self.name)

    @property
    def is_clip(self) -> bool:
        return self.file.suffix.lower() in clipfile.SUFFIXES


def files_in(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Those whose names end so, but hidden ones; `test_2` before `test_10`. Raises `BadSettings` if there are none."""
    found = [one for one in folder.iterdir() if one.suffix.lower() in suffixes and not one.name.startswith(".")]
    if files := sorted((one for one in found if one.is_file()), key=lambda one: _natural(one.name)):
        return files
    raise BadSettings(f"{folder}: no file in it ends in {', '.join(sorted(suffixes))}: name a folder with some")


def suffixes_of(*, images: bool, videos: bool) -> frozenset[str]:
    """Of the kinds that are wanted; of both, where neither is named."""
    wanted = imagefile.SUFFIXES if images or not videos else frozenset()
    return wanted | clipfile.SUFFIXES if videos or not images else wanted


def numbered(files: Sequence[Path], requests: int) -> Iterator[Upload]:
    """So many, the files in turn: `a.jpg`, `b.jpg`, `a-1.jpg`, `b-1.jpg`, …

    Names whose stems others have, as that of `a.png` beside `a.jpg`, go on to the next number.
    """
    taken: set[str] = set()
    for number in range(requests):
        again, place = divmod(number, len(files))
        own = Path(keys.clean_filename(files[place].name))
        names = (f"{own.stem}-{i}{own.suffix}" if i else own.name for i in count(again))
        name = next(name for name in names if keys.stem(name) not in taken)
        taken.add(keys.stem(name))
        yield Upload(number, files[place], name)


def named(files: Sequence[Path], expected: Sequence[Expected], requests: int | None) -> Iterator[Upload]:
    """As many as the mapping has lines, or the first so many of them, under its names.

    The file for a line is one of which `labels.csv` beside the files says the same; without that, the one of this
    name, or else files in turn. Raises `BadSettings` where more are wanted, or no file fits.
    """
    if requests is not None and requests > len(expected):
        raise BadSettings(f"the mapping names {len(expected)} files, and {requests} are wanted: send fewer")
    labels, by_name = _labels(files), {file.name: file for file in files}
    for number, one in enumerate(expected[:requests]):
        file = _labelled(one, labels) if labels else by_name.get(one.file, files[number % len(files)])
        yield Upload(number, file, keys.clean_filename(one.file))


def _labels(files: Sequence[Path]) -> list[tuple[Path, Expected]]:
    """Each file that has a line, with what that says."""
    labels = files[0].with_name(LABELS)
    if not labels.is_file():
        return []
    by_stem = {keys.stem(file.name): file for file in files}
    return [(by_stem[stem], one) for one in mapping.read(labels) if (stem := keys.stem(one.file)) in by_stem]


def _labelled(wanted: Expected, labels: Sequence[tuple[Path, Expected]]) -> Path:
    for file, one in labels:
        if mapping.same((one.name or "", *one.attributes), wanted) is not Same.NO:
            return file
    words = ", ".join(filter(None, (wanted.name, *wanted.attributes)))
    raise BadSettings(f"{LABELS} has no file that shows {words}, as {wanted.file} shall: add its line there")


def _natural(name: str) -> list[tuple[int, str]]:
    """To sort by: numbers in names by what they count."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]

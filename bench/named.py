"""Photos of which it is known whom they show, enrolled and asked for through the worker's own recogniser.

    python -m bench.named --people DIR [--asked DIR] [--json]

`--people` holds a folder for each person, all of whose photos are enrolled; loose photos are each of somebody else.
`--asked` holds the photos to ask for, in folders of the same names; without it, those enrolled are asked for. The
frames of clips are photos, too: `ffmpeg -i clip.mp4 name/%03d.jpg` makes some of them.

`found`: photos of `--people` with a face. `right`, `wrong`, `unknown`: of the photos asked for, those whose largest
face was given the name of their folder, another name, or none; no face counts as unknown. `people_right`: how many
people were named right on most of their photos, and wrong on none.
"""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from bench.told import tell
from facefleet.backends import connect
from facefleet.model import Face, Person, Photo
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.labelled import Album, stranger_albums
from facefleet.recognition.recogniser import Recogniser, open_recogniser
from facefleet.settings import Settings

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
RIGHT, WRONG, UNKNOWN = "right", "wrong", "unknown"


@dataclass(frozen=True)
class Measured:
    people: int
    enrolled: int
    found: int
    asked: int
    right: int
    wrong: int
    unknown: int
    people_right: int


def measure(people: Sequence[Album], asked: Sequence[Album], console: Console) -> Measured:
    settings = Settings()
    with tempfile.TemporaryDirectory() as folder:
        backend = connect(replace(settings, data=Path(folder)))
        recogniser = open_recogniser(settings, Keeper(backend.people, backend.blobs))
        found = 0
        for name, paths in track(people, "enrolling", console=console):
            photos = enrolled(recogniser, paths)
            found += len(photos)
            backend.people.put(Person(name, name, photos=photos))
        told = [
            Counter(outcome(name, recogniser.recognise(path.read_bytes())) for path in paths)
            for name, paths in track(asked, "asking", console=console)
        ]
    return _summary(people, found, told)


def enrolled(recogniser: Recogniser, paths: Sequence[Path]) -> tuple[Photo, ...]:
    """The largest face of each photo that has any."""
    faces = [(path.name, recogniser.faces(path.read_bytes())) for path in paths]
    return tuple(Photo(name, of[0].box, of[0].encoding.astype("<f4").tobytes()) for name, of in faces if of)


def outcome(name: str, faces: Sequence[Face]) -> str:
    if not faces or faces[0].person_id is None:
        return UNKNOWN
    return RIGHT if faces[0].person_id == name else WRONG


def _summary(people: Sequence[Album], found: int, told: Sequence[Counter[str]]) -> Measured:
    total = sum(told, Counter())
    return Measured(
        people=len(people),
        enrolled=sum(len(paths) for _, paths in people),
        found=found,
        asked=total.total(),
        right=total[RIGHT],
        wrong=total[WRONG],
        unknown=total[UNKNOWN],
        people_right=sum(one[RIGHT] > one[UNKNOWN] and not one[WRONG] for one in told),
    )


@click.command()
@click.option("--people", type=FOLDER, required=True, help="Photos to enrol: a folder for each person, or loose.")
@click.option("--asked", type=FOLDER, help="Photos to ask for; without it, those enrolled.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(people: Path, asked: Path | None, *, as_json: bool) -> None:
    """Measure who is named right of people who are known."""
    known = stranger_albums(people)
    if not known:
        raise click.UsageError(f"no photos in {people}: it must hold photos, or a folder of photos for each person")
    measured = measure(known, known if asked is None else stranger_albums(asked), Console(stderr=True))
    tell("People who are known", asdict(measured), as_json=as_json)


if __name__ == "__main__":
    main()

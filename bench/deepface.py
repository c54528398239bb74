"""The engine beside DeepFace, with the same weights, on the same photos, by CPU time.

    python3 -m venv ENV
    ENV/bin/pip install deepface==0.0.103 tf-keras flask dlib-bin
    python -m bench.deepface --python ENV/bin/python [--photos DIR] [--limit 40] [--rounds 5] [--json]

DeepFace lives in an environment of its own: it brings TensorFlow, and facefleet needs neither. It runs with the model
`Dlib` and the detector `dlib`, which are dlib's network and its HOG detector, by `DeepFace.represent` of a path. That
compares with nobody, while ours goes on to names. Its weights are those that are installed here, so nothing is
downloaded. Photos of half a megapixel or more are made 1 megapixel, as `bench.engine` does it, and asked of both sides
in turns, each a process with one thread.

`speedup_deepface`: its CPU time to ours, the median of the photos; `…_least`: of the photo that gained least. `ms_…`:
CPU time of the median photo. `rss_mb_…`: what each process holds after all photos. `faces_…`: how many each found.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.progress import Progress

from bench.photoset import choose, make_sets
from bench.sides import Died, Side, enrol, our_side, started
from bench.told import tell
from facefleet.recognition.weights import FILE, model_folder

SAMPLES = Path(".samples/photos")
#: The files of weights that DeepFace looks for under these names, in this folder of its home.
WEIGHTS, WEIGHTS_FOLDER = (FILE, "shape_predictor_5_face_landmarks.dat"), Path(".deepface/weights")
#: One thread, as a worker has; no search for graphics cards; and errors alone on stderr.
QUIETLY = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
}
HOW = """It wants an interpreter that has DeepFace. These commands make one:
    python3 -m venv ENV
    ENV/bin/pip install deepface==0.0.103 tf-keras flask dlib-bin
    python -m bench.deepface --python ENV/bin/python"""

#: For the other interpreter, which has nothing of ours. DeepFace raises ValueError where it finds no face.
DEEPFACE = """
import json, sys, time
answers, sys.stdout = sys.stdout, sys.stderr
from deepface import DeepFace
print('{"ready": true}', file=answers, flush=True)
for line in sys.stdin:
    photo = json.loads(line)["photo"]
    started = time.process_time()
    try:
        faces = DeepFace.represent(photo, model_name="Dlib", detector_backend="dlib")
    except ValueError:
        faces = []
    cpu = time.process_time() - started
    print(json.dumps({"cpu_s": cpu, "faces": len(faces)}), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Measured:
    photos: int
    speedup_deepface: float
    speedup_deepface_least: float
    ms_ours: float
    ms_deepface: float
    rss_mb_ours: float
    rss_mb_deepface: float
    faces_ours: int
    faces_deepface: int


@dataclass(frozen=True)
class Compared:
    """One photo: CPU seconds of each turn, and how many faces each side found."""

    ours: list[float]
    deepface: list[float]
    faces_ours: int
    faces_deepface: int

    @property
    def speedup(self) -> float:
        return median(theirs / ours for ours, theirs in zip(self.ours, self.deepface, strict=True))


@contextmanager
def deepface_side(python: str, home: Path) -> Iterator[Side]:
    """DeepFace on that interpreter, with its weights in the folder `home`; it does not touch the user's."""
    folder = home / WEIGHTS_FOLDER
    folder.mkdir(parents=True)
    for name in WEIGHTS:
        shutil.copyfile(model_folder() / name, folder / name)
    with started([python, "-c", DEEPFACE], DEEPFACE_HOME=str(home), **QUIETLY) as side:
        yield side


def compare(photos: Sequence[Path], ours: Side, theirs: Side, rounds: int, done: Callable[[], None]) -> list[Compared]:
    """Every photo, `rounds` times, photo by photo; a first time of each side goes uncounted."""
    ours.ask(photos[0])
    theirs.ask(photos[0])
    compared = [Compared([], [], 0, 0) for _ in photos]
    for _ in range(rounds):
        for i, photo in enumerate(photos):
            own, other = ours.ask(photo), theirs.ask(photo)
            seconds = ([*compared[i].ours, own["cpu_s"]], [*compared[i].deepface, other["cpu_s"]])
            compared[i] = Compared(*seconds, len(own["faces"]), other["faces"])
            done()
    return compared


def summary(compared: Sequence[Compared], ours: Side, theirs: Side) -> Measured:
    return Measured(
        photos=len(compared),
        speedup_deepface=round(median(one.speedup for one in compared), 1),
        speedup_deepface_least=round(min(one.speedup for one in compared), 1),
        ms_ours=round(1000 * median(median(one.ours) for one in compared), 1),
        ms_deepface=round(1000 * median(median(one.deepface) for one in compared), 1),
        rss_mb_ours=round(ours.rss_mb, 1),
        rss_mb_deepface=round(theirs.rss_mb, 1),
        faces_ours=sum(one.faces_ours for one in compared),
        faces_deepface=sum(one.faces_deepface for one in compared),
    )


def measure(chosen: tuple[Path, ...], python: str, rounds: int, console: Console) -> Measured:
    with tempfile.TemporaryDirectory() as name, Progress(console=console, transient=True) as progress:
        folder = Path(name)
        photos = make_sets(chosen, folder, lambda photo: []).megapixel
        if not photos:
            raise click.UsageError(f"no photo has half a megapixel; try --photos {SAMPLES}, after `make .samples/done`")
        enrol(folder)
        task = progress.add_task("both sides", total=rounds * len(photos))
        with deepface_side(python, folder / "home") as theirs, our_side(folder) as ours:
            compared = compare(photos, ours, theirs, rounds, lambda: progress.advance(task))
            return summary(compared, ours, theirs)


@click.command()
@click.option("--python", required=True, help="An interpreter that has DeepFace.")
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=SAMPLES)
@click.option("--limit", default=40, show_default=True, type=click.IntRange(min=1), help="Photos, evenly spread.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1), help="Turns of each photo.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(python: str, photos: Path, limit: int, rounds: int, *, as_json: bool) -> None:
    """Measure the engine beside DeepFace."""
    try:
        measured = measure(choose(photos, limit).photos, python, rounds, Console(stderr=True))
    except Died as e:
        raise click.ClickException(f"{e.message}\n{HOW}") from e
    tell("facefleet beside DeepFace, photos of 1 megapixel", asdict(measured), as_json=as_json)


if __name__ == "__main__":
    main()

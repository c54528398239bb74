"""How soon the function's image answers: `python -m bench.cold_start`, as root.

Each time it is entered anew, read-only and as nobody, as Lambda does it. Its files are in this machine's memory by
then: what Lambda takes to fetch an image is not measured here.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click

from bench.container import Image, built, cannot
from bench.emulators import store
from bench.http_front import event_of
from bench.local import as_ours
from bench.runtime_api import Running, running
from bench.told import tell
from facefleet.backends.aws.account.resources import ensure
from facefleet.backends.aws.clients import connect_clients
from facefleet.backends.aws.people import DynamoPeople
from facefleet.model import Person, Photo
from facefleet.recognition.encoder import open_encoder
from facefleet.recognition.images import Picture
from facefleet.settings import Settings

KEY = "the-key-of-this-bench"
PHOTO = Path(".samples/photos/obama.jpg")
#: Frames after the first.
WARM = 9
MODELS = Path(".samples/models")
#: What the function is told besides where AWS is.
ENV = {"FACEFLEET_API_KEYS": f"{KEY}:recognise"}


@click.command()
@click.option("--times", default=9, show_default=True, help="how often it is started")
@click.option("--photo", type=click.Path(exists=True, path_type=Path), default=PHOTO, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="figures as one line of JSON")
def main(times: int, photo: Path, as_json: bool) -> None:
    """From the process's start to its first question for an event; then the first frame, and later ones."""
    if why := cannot():
        raise click.ClickException(why)
    with ExitStack() as open:
        folder = Path(open.enter_context(TemporaryDirectory()))
        image = open.enter_context(built("function", folder))
        env = open.enter_context(account(photo))
        tell("the function's image", measured(image, env, photo, times), as_json=as_json)


def measured(image: Image, env: dict[str, str], photo: Path, times: int) -> dict[str, object]:
    """Seconds are medians over all starts; memory is the most of all."""
    rounds = [once(image, env, photo) for _ in range(times)]
    figures = {name: round(median(one[name] for one in rounds), 3) for name in ("init_s", "first_s", "warm_s")}
    return {**figures, "resident_mb": max(one["resident_mb"] for one in rounds), "image_mb": round(image.size / 1e6)}


def once(image: Image, env: dict[str, str], photo: Path) -> dict[str, float]:
    with running(env, command=image.entry()) as function:
        first, *warm = [answered(function, photo.read_bytes()) for _ in range(1 + WARM)]
        resident = most_memory(function.process.pid) / 1e6
        return {
            "init_s": function.init_seconds,
            "first_s": first,
            "warm_s": median(warm),
            "resident_mb": round(resident),
        }


def answered(function: Running, photo: bytes) -> float:
    """Seconds until the function said who it is."""
    done = function.api.invoke(frame(photo))
    if done.answer is None or done.answer["statusCode"] != 200:
        raise click.ClickException(f"the function did not answer: {done.error or done.answer}")
    return done.seconds


def frame(photo: bytes, **headers: str) -> dict[str, Any]:
    """A photo as an HTTP API hands it on."""
    return event_of("POST", "/", {"content-type": "image/jpeg", "x-api-key": KEY, **headers}, photo)


@contextmanager
def account(photo: Path) -> Iterator[dict[str, str]]:
    """What boto3 needs to speak to an account that holds what a deployment makes; the photo's person is enrolled."""
    settings = Settings(backend="aws")
    with store() as kept:
        with as_ours(kept.env):
            clients = connect_clients()
            ensure(clients, settings)
            clients.sqs.create_queue(QueueName=settings.response_queue)
            about = {"major": "law", "year": "senior"}
            person = Person(photo.stem, photo.stem.title(), about, (enrolled(photo),))
            DynamoPeople(clients.dynamodb, settings.people_table).put(person)
        yield {**kept.env, **ENV}


def enrolled(photo: Path) -> Photo:
    picture = Picture(photo.read_bytes(), max_pixels=Settings().max_pixels)
    face, *_ = open_encoder(MODELS, smallest_face=Settings().smallest_face)(picture)
    return Photo("0" * 32, face.box, face.encoding.astype("<f4").tobytes())


def most_memory(pid: int) -> int:
    """Bytes that were resident at most (VmHWM, proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024


if __name__ == "__main__":
    main()

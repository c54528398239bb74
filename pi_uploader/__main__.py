"""`python -m pi_uploader --url http://HOST:8000 --photos FOLDER`: each press of the button asks who is on a photo.

The photos of the folder stand in for a camera, in turn. Off a Pi, `GPIOZERO_PIN_FACTORY=mock` gives pins.
"""

import argparse
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gpiozero
import requests

#: Seconds to connect, and to wait for an answer: above the service's own limit of 60.
TIMEOUT = (5.0, 90.0)
#: Edges closer together than this are one press.
BOUNCE = 0.05


def photos_in_turn(folder: Path) -> Iterator[Path]:
    """The folder's photos by name, over and over."""
    photos = sorted(p for p in folder.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not photos:
        raise SystemExit(f"no photos in {folder}: put a .jpg or .png there")
    return itertools.cycle(photos)


def ask(session: requests.Session, url: str, photo: Path) -> str:
    """Who is on the photo, in words, with the round trip in milliseconds; or what went wrong."""
    started = time.monotonic()
    try:
        with photo.open("rb") as file:
            response = session.post(f"{url}/v1/recognitions", files={"file": (photo.name, file)}, timeout=TIMEOUT)
        answer = response.json()["answer" if response.ok else "detail"]
    except (requests.RequestException, ValueError, KeyError) as e:
        answer = f"no answer from {url}: {type(e).__name__}"
    return f"{photo.name}: {answer} ({1000 * (time.monotonic() - started):.0f} ms)"


def answer_presses(button: gpiozero.Button, look: Callable[[], str], say: Callable[[str], object]) -> None:
    """From now on each press of the button looks, and says who it saw."""
    button.when_pressed = lambda: say(look())


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="pi_uploader", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--url", required=True, help="the service, as http://HOST:8000")
    parser.add_argument("--photos", required=True, type=Path, help="a folder of photos, taken in turn")
    parser.add_argument("--pin", default=17, type=int, help="the button's GPIO number")
    options = parser.parse_args()
    session, photos = requests.Session(), photos_in_turn(options.photos)
    if key := os.environ.get("FACEFLEET_API_KEY"):
        session.headers["x-api-key"] = key

    url = options.url.rstrip("/")
    answer_presses(
        gpiozero.Button(options.pin, bounce_time=BOUNCE),
        look=lambda: ask(session, url, next(photos)),
        say=lambda words: sys.stdout.write(f"{words}\n") and sys.stdout.flush(),
    )
    signal.pause()


if __name__ == "__main__":
    main()

"""Our side of a comparison: `python -m bench.ours` opens what a worker opens, and says who is on each photo.

`cpu_s`: from the file's bytes on disk to names.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from facefleet.backends import connect
from facefleet.entry import keep_memory
from facefleet.model import Face
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.recogniser import Recogniser, open_recogniser
from facefleet.settings import Settings


def main() -> None:
    keep_memory()
    recogniser = opened(Settings.from_env(os.environ))
    say({"ready": True})
    for line in sys.stdin:
        say(answer(recogniser, Path(json.loads(line)["photo"])))


def opened(settings: Settings) -> Recogniser:
    """As `app_tier` does it."""
    backend = connect(settings)
    keeper = Keeper(backend.people, backend.blobs)
    keeper.refresh()
    return open_recogniser(settings, keeper)


def answer(recogniser: Recogniser, photo: Path) -> dict[str, Any]:
    started = time.process_time()
    faces = recogniser.recognise(photo.read_bytes())
    cpu = time.process_time() - started
    return {"cpu_s": cpu, "faces": [told(face) for face in faces]}


def told(face: Face) -> dict[str, Any]:
    box = face.box
    return {"box": [box.x_min, box.y_min, box.x_max, box.y_max], "encoding": (face.encoding or b"").hex()}


def say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

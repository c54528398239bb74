"""The other side of a comparison: `python -m bench.theirs KNOWN.npy` asks `face_recognition`, by its default calls.

`cpu_s`: `load_image_file`, `face_locations`, `face_encodings` at these locations, and `compare_faces` of each face with
everybody known. `twice_s`: the same with `face_encodings(image)`, which is not told the locations and looks for them
again. `encodings`: where a question has `boxes` (left, top, right, bottom, the far edges exclusive), those of the faces
there.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np


def main() -> None:
    # What a library prints is no answer: `face_recognition` prints advice, and then ends the process.
    answers, sys.stdout = sys.stdout, sys.stderr
    known = list(np.load(sys.argv[1]).astype(np.float64))
    with warnings.catch_warnings():
        # Its models package still imports `pkg_resources`, which warns that it will go.
        warnings.simplefilter("ignore")
        import face_recognition as library
    answers.write('{"ready": true}\n')
    answers.flush()
    for line in sys.stdin:
        answers.write(json.dumps(answer(library, known, **json.loads(line))) + "\n")
        answers.flush()


def answer(library: Any, known: list[Any], photo: str, boxes: list[list[int]] | None = None) -> dict[str, Any]:
    image, loading = timed(lambda: library.load_image_file(photo))
    if boxes is not None:
        return {"encodings": at_boxes(library, image, boxes)}
    places, finding = timed(lambda: library.face_locations(image))
    encodings, encoding = timed(lambda: library.face_encodings(image, places))
    _, comparing = timed(lambda: [library.compare_faces(known, one) for one in encodings])
    _, encoding_anew = timed(lambda: library.face_encodings(image))
    height, width = image.shape[:2]
    return {
        "cpu_s": loading + finding + encoding + comparing,
        "twice_s": loading + finding + encoding_anew + comparing,
        "boxes": [[left, top, right + 1, bottom + 1] for top, right, bottom, left in places],
        "size": [width, height],
    }


def at_boxes(library: Any, image: Any, boxes: list[list[int]]) -> list[list[float]]:
    places = [(top, right - 1, bottom - 1, left) for left, top, right, bottom in boxes]
    return [encoding.tolist() for encoding in library.face_encodings(image, places)]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work comes to, and its seconds of CPU."""
    started = time.process_time()
    done = work()
    return done, time.process_time() - started


if __name__ == "__main__":
    main()

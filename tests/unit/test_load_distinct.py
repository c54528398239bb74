"""Files made distinct for a load: others to a cache, and the same to whoever looks."""

from collections.abc import Callable
from io import BytesIO
from uuid import uuid4

import av
import numpy as np
import pytest
from clips import clip_of
from PIL import Image

from facefleet import clipfile
from facefleet.cli.loading.distinct import distinct

PICTURE = Image.fromarray(np.random.default_rng(7).integers(0, 255, (48, 64, 3), np.uint8).repeat(2, 0).repeat(2, 1))
Seen = list[bytes]


def image_of(form: str) -> bytes:
    PICTURE.save(file := BytesIO(), form)
    return file.getvalue()


def seen(data: bytes) -> Seen:
    """The pixels of each frame."""
    if not clipfile.is_clip(data):
        with Image.open(BytesIO(data)) as image:
            return [image.convert("RGB").tobytes()]
    # A raw stream does not tell its form.
    with av.open(BytesIO(data), format="h264" if clipfile.kind_of(data) == clipfile.H264 else None) as container:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]


MADE: list[tuple[str, Callable[[], bytes]]] = [
    *((form, lambda form=form: image_of(form)) for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP")),  # type: ignore[misc]
    *(
        (kind, lambda kind=kind: clip_of((PICTURE, 0.5), kind=kind))
        for kind in ("mp4", "mov", "h264", "matroska", "webm")
    ),  # type: ignore[misc]
]


@pytest.mark.parametrize("make", [make for _, make in MADE], ids=[name for name, _ in MADE])
def test_a_distinct_file_shows_the_same_and_is_another(make: Callable[[], bytes]) -> None:
    data = make()
    made = [distinct(data, uuid4().hex) for _ in range(3)]
    assert len({data, *made}) == 4 and all(data in one for one in made)
    assert len({len(one) for one in made}) == 1
    assert [seen(one) for one in made] == [seen(data)] * 3 and seen(data)

"""What goes in by a door of a load, and what comes back."""

from threading import Event

import pytest
from standin import json_said

from facefleet.cli.loading.answer import Answer, NoAnswer
from facefleet.cli.loading.entrances import Entrance
from facefleet.cli.loading.patience import Patience
from facefleet.cli.loading.work import Upload

PHOTO, CLIP = b"\xff\xd8 a photo", b"\0\0\0\x18ftypmp42 a clip"
DONE = json_said(
    200,
    {"id": "a" * 32, "answer": "paul", "error": None, "faces": [{"attributes": {"major": "physics", "year": 3}}]},
)
FOUND = Answer("paul", {"major": "physics", "year": 3}, "a" * 32)


def sent(entrance: Entrance, upload: Upload, *, seconds: float = 10.0) -> Answer:
    try:
        return entrance.send(upload, Patience(seconds, Event()))
    finally:
        entrance.close()


def code_of(entrance: Entrance, upload: Upload, *, seconds: float = 10.0) -> str:
    with pytest.raises(NoAnswer) as refused:
        sent(entrance, upload, seconds=seconds)
    return refused.value.code

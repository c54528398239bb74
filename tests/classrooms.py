"""A classroom as benches take it, of two students and three clips that show other photos of them than the roster's."""

import json
from pathlib import Path

from PIL import Image
from unit.clips import clip_of

from facefleet.recognition.encoder import open_encoder
from facefleet.recognition.images import Picture

ROSTER = [
    {"id": 1, "name": "obama", "major": "law", "year": "freshmen"},
    {"id": 2, "name": "biden", "major": "history", "year": "senior"},
]
#: Of each clip the photo that it shows, and its label; the last label is wrong.
CLIPS = {
    "test_0.mp4": ("obama2", "obama,law,freshmen"),
    "test_1.mp4": ("biden", "biden,history,senior"),
    "test_3.mp4": ("obama3", "obama,physics,senior"),
}
#: `freshman`, as the course's own spells it.
MAPPING = "test_0.mp4:law,freshman\ntest_1.mp4:history,senior\ntest_3.mp4:physics,senior\n"


def write(folder: Path, photos: Path, models: Path) -> None:
    for name, (photo, _) in CLIPS.items():
        image = Image.open(photos / f"{photo}.jpg").convert("RGB")
        image.thumbnail((640, 640))
        (folder / name).write_bytes(clip_of((image, 0.4)))
    labels = [f"{name},{label}" for name, (_, label) in CLIPS.items()]
    (folder / "labels.csv").write_text("\n".join(["file,name,major,year", *labels, ""]))
    (folder / "mapping").write_text(MAPPING)
    (folder / "student_data.json").write_text(json.dumps(ROSTER))
    (folder / "encoding.safe.json").write_text(json.dumps(encodings_of(photos, models)))


def encodings_of(photos: Path, models: Path) -> dict[str, list[object]]:
    encode, names = open_encoder(models, smallest_face=0.03), [student["name"] for student in ROSTER]
    faces = [encode(Picture((photos / f"{name}.jpg").read_bytes(), max_pixels=10**8))[0] for name in names]
    return {"names": list(names), "encodings": [face.encoding.tolist() for face in faces]}

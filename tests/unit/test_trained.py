"""dlib's detector and landmarks: the same from the folder of models, which then is all that a worker needs."""

import re
import subprocess
import sys
from pathlib import Path

import dlib
import numpy as np
import pytest
from PIL import Image

from facefleet.recognition.encoder import open_encoder
from facefleet.recognition.images import Picture
from facefleet.recognition.trained import DETECTOR, LANDMARKS, keep_detector, keep_landmarks, open_detector
from facefleet.recognition.trained import open_landmarks as landmarks_of
from facefleet.recognition.weights import model_folder

ROOT = Path(__file__).parent.parent.parent
#: The faces of an image, by the models of a folder.
FACES = """
import sys
from pathlib import Path
from facefleet.errors import Unavailable
from facefleet.recognition.encoder import open_encoder
from facefleet.recognition.images import Picture

try:
    encode = open_encoder(Path(sys.argv[1]), smallest_face=0.03)
except Unavailable as e:
    sys.exit(f"Unavailable: {e}")
for face in encode(Picture(Path(sys.argv[2]).read_bytes(), max_pixels=50_000_000)):
    print(face.encoding.tobytes().hex())
"""


@pytest.fixture(scope="module")
def without_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the installed packages, without those that models are made of, as in a container image."""
    folder = tmp_path_factory.mktemp("packages")
    for package in Path(np.__file__).parent.parent.iterdir():
        name = package.name.lower()
        if not (name.startswith(("face_recognition", "mtcnn")) or name == "onnx"):
            (folder / package.name).symlink_to(package)
    return folder


def faces(packages: Path, models: Path, image: Path) -> "subprocess.CompletedProcess[str]":
    begin = f"import sys; sys.path[:0] = [{str(packages)!r}, {str(ROOT)!r}]\n"
    command = [sys.executable, "-I", "-S", "-c", begin + FACES, str(models), str(image)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_kept_detector_finds_what_dlibs_own_finds(tmp_path: Path, photos: Path) -> None:
    keep_detector(tmp_path)
    kept, own = open_detector(tmp_path), dlib.get_frontal_face_detector()
    for path in sorted(photos.glob("*.jpg"))[:6]:
        image = np.asarray(Image.open(path).convert("RGB").resize((480, 480)))
        assert [str(one) for one in kept.run(image, 1, -0.5)] == [str(one) for one in own.run(image, 1, -0.5)]


def test_the_kept_landmarks_are_dlibs_file_and_a_seal(tmp_path: Path) -> None:
    installed = (model_folder() / LANDMARKS).read_bytes()
    assert keep_landmarks(tmp_path).read_bytes().startswith(installed)
    image, place = np.zeros((200, 200, 3), np.uint8), dlib.rectangle(50, 50, 150, 150)
    own = dlib.shape_predictor(str(model_folder() / LANDMARKS))(image, place)
    assert str(landmarks_of(tmp_path)(image, place).parts()) == str(own.parts())


def test_the_detector_is_kept_by_whoever_does_not_find_it(tmp_path: Path) -> None:
    open_detector(tmp_path)
    made = (tmp_path / DETECTOR).read_bytes()
    (tmp_path / DETECTOR).write_bytes(made[:-1] + b"?")
    open_detector(tmp_path)
    assert (tmp_path / DETECTOR).read_bytes() == made


def test_a_folder_that_cannot_be_written_costs_no_detector(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert open_detector(tmp_path / "file").detection_window_width == 80


@pytest.mark.parametrize("damage", [b"", b"not dlib's"])
def test_damaged_landmarks_are_not_taken(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / LANDMARKS).write_bytes(damage)
    assert landmarks_of(tmp_path) is not None


def test_a_folder_of_models_is_all_that_an_encoder_needs(photos: Path, without_sources: Path, tmp_path: Path) -> None:
    image, models = photos / "obama.jpg", tmp_path / "models"
    subprocess.run([sys.executable, "-m", "facefleet.recognition.convert", str(models)], check=True, timeout=60)
    (expected,) = open_encoder(models, smallest_face=0.03)(Picture(image.read_bytes(), max_pixels=50_000_000))
    alone = faces(without_sources, models, image)
    assert alone.stdout.split() == [expected.encoding.tobytes().hex()], alone.stderr
    refused = faces(without_sources, tmp_path / "none", image)
    assert refused.returncode == 1
    assert re.search("Unavailable: .*build the image anew$", refused.stderr.strip())

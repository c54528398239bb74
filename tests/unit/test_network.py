"""The face network: ONNX Runtime encodes as dlib does, and where it cannot, dlib itself does."""

import logging
import subprocess
import sys
from pathlib import Path

import dlib
import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from facefleet.errors import Unavailable
from facefleet.recognition.convert import convert, spell_out
from facefleet.recognition.kept import open_kept, sealed
from facefleet.recognition.network import (
    BATCH,
    CONVERTED,
    Chips,
    Network,
    check_chip,
    dlib_network,
    largest_difference,
    load_network,
)
from facefleet.recognition.proposals import NETWORKS, Proposer, proposal_weights
from facefleet.recognition.trained import DETECTOR, LANDMARKS
from facefleet.recognition.weights import checksum, model_folder, read_weights, weights_file

#: Where two orders of the same additions end. An all-white chip, the worst known, is 2e-6 off.
ROUNDING = 1e-5
#: All that a folder holds.
KEPT = sorted([CONVERTED, *NETWORKS, DETECTOR, LANDMARKS])
CONVERT = [sys.executable, "-m", "facefleet.recognition.convert"]


@pytest.fixture(scope="module")
def reference() -> Network:
    return dlib_network(weights_file())


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A converted file as it should be."""
    return convert(weights_file(), tmp_path_factory.mktemp("kept")).read_bytes()


@pytest.fixture
def file(tmp_path: Path, kept: bytes) -> Path:
    file = tmp_path / CONVERTED
    file.write_bytes(kept)
    return file


@pytest.fixture(scope="module")
def obama(photos: Path) -> Chips:
    """A batch of one chip, as the encoder cuts it."""
    image = np.asarray(Image.open(photos / "obama.jpg").convert("RGB"))
    (place,) = dlib.get_frontal_face_detector()(image, 0)
    align = dlib.shape_predictor(str(model_folder() / "shape_predictor_5_face_landmarks.dat"))
    return np.asarray(dlib.get_face_chip(image, align(image, place), size=150, padding=0.25))[np.newaxis]


def tamper(file: Path, **facts: str) -> None:
    model = onnx.load(file)
    facts = {prop.key: prop.value for prop in model.metadata_props if prop.key != "sha256"} | facts
    onnx.helper.set_model_props(model, facts)
    file.write_bytes(sealed(model.SerializeToString()))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_face_is_encoded_as_dlib_encodes_it(
    file: Path, obama: Chips, reference: Network, caplog: pytest.LogCaptureFixture
) -> None:
    encode = load_network(file.parent)
    for chip in (obama, check_chip(), np.zeros_like(obama), np.full_like(obama, 255)):
        assert largest_difference(encode(chip), reference(chip)) < ROUNDING
    assert encode(obama).dtype == np.float32
    assert warnings_of(caplog) == []


def test_the_built_in_chip_never_changes_and_is_not_obama(obama: Chips, reference: Network) -> None:
    chip = check_chip()
    assert (chip.shape, chip.dtype) == (obama.shape, obama.dtype)
    # A change makes every kept file disagree with its own record.
    assert int(chip.astype(np.int64).sum()) == 6_792_474
    assert np.linalg.norm(reference(chip) - reference(obama)) > 0.5


def test_chips_in_a_batch_are_encoded_as_if_alone(file: Path, obama: Chips) -> None:
    encode = load_network(file.parent)
    brighter = [obama // 20 * k for k in range(2 * BATCH + 3)]
    together = encode(np.concatenate(brighter))
    assert largest_difference(together, np.concatenate([encode(chip) for chip in brighter])) < 1e-6
    assert encode(obama[:0]).shape == (0, 128)


def test_dlibs_own_network_takes_batches_too(obama: Chips, reference: Network) -> None:
    assert reference(np.repeat(obama, 2, axis=0)).shape == (2, 128)
    assert reference(obama[:0]).shape == (0, 128)


def test_the_converted_file_is_made_once(tmp_path: Path) -> None:
    load_network(tmp_path / "new")
    made = (tmp_path / "new" / CONVERTED).stat()
    load_network(tmp_path / "new")
    assert names(tmp_path / "new") == KEPT, "and nothing lies beside them"
    assert (tmp_path / "new" / CONVERTED).stat() == made


@pytest.mark.parametrize("damage", [b"", b"not a network", None])
def test_a_damaged_file_is_made_anew(
    file: Path, kept: bytes, damage: bytes | None, obama: Chips, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(kept[: len(kept) // 2] if damage is None else damage)
    load_network(file.parent)(obama)
    assert file.read_bytes() == kept
    assert warnings_of(caplog) == []


def test_a_file_with_one_bit_flipped_is_made_anew(file: Path, kept: bytes) -> None:
    for at in (1000, len(kept) // 2, len(kept) - 1):
        file.write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
        load_network(file.parent)
        assert file.read_bytes() == kept


@pytest.mark.parametrize("facts", [{"source": "0" * 64}, {"form": "0"}, {"encoding": "none"}])
def test_a_file_of_other_weights_or_another_form_is_made_anew(file: Path, kept: bytes, facts: dict[str, str]) -> None:
    tamper(file, **facts)
    load_network(file.parent)
    assert file.read_bytes() == kept


@pytest.mark.parametrize("number", [0.5, np.nan])
def test_dlib_encodes_where_the_converted_network_disagrees_with_it(
    file: Path, number: float, obama: Chips, reference: Network, caplog: pytest.LogCaptureFixture
) -> None:
    tamper(file, encoding=np.full(128, number, "<f4").tobytes().hex())
    encode = load_network(file.parent)
    assert largest_difference(encode(obama), reference(obama)) == 0, "to the last bit"
    (warning,) = warnings_of(caplog)
    assert "dlib itself" in warning
    assert "does not encode as dlib does" in warning


def test_dlib_encodes_where_the_folder_cannot_be_had(
    tmp_path: Path, obama: Chips, reference: Network, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    encode = load_network(tmp_path / "file" / "folder")
    assert largest_difference(encode(obama), reference(obama)) == 0
    (warning,) = warnings_of(caplog)
    assert "cannot be written (Not a directory)" in warning


def test_two_conversions_at_once_leave_one_good_file(tmp_path: Path, kept: bytes) -> None:
    both = [subprocess.Popen([*CONVERT, str(tmp_path)]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert names(tmp_path) == KEPT
    assert (tmp_path / CONVERTED).read_bytes() == kept


def test_the_file_says_what_it_was_made_of(file: Path) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["source"] == checksum(weights_file())


def test_weights_that_are_not_this_network_are_refused(tmp_path: Path) -> None:
    landmarks = model_folder() / "shape_predictor_5_face_landmarks.dat"
    short = tmp_path / "short.dat"
    short.write_bytes(weights_file().read_bytes()[:20_000_000])
    for path, reason in ((landmarks, "not dlib's face network"), (short, "damaged"), (tmp_path / "none", "be read")):
        with pytest.raises(Unavailable, match=reason):
            read_weights(path)
    with pytest.raises(Unavailable, match="be read"):
        checksum(tmp_path / "none")


def test_the_conversion_refuses_without_a_folder() -> None:
    done = subprocess.run(CONVERT, capture_output=True, text=True)
    assert done.returncode == 1
    # Before it, ONNX Runtime may complain of a machine without /proc.
    assert done.stderr.splitlines()[-1].startswith("usage: ")


def test_the_proposing_networks_say_the_very_same_without_prelu(tmp_path: Path, photos: Path) -> None:
    image = Image.open(photos / "obama2.jpg").convert("RGB").resize((300, 400))
    for name in NETWORKS:
        made = spell_out(proposal_weights(name), tmp_path)
        assert "PRelu" not in {node.op_type for node in onnx.load(made).graph.node}
        assert open_kept(made, checksum(proposal_weights(name))) is not None
    proposed = Proposer(tmp_path).propose(image, 24.0)
    assert len(proposed)
    assert np.array_equal(proposed, Proposer().propose(image, 24.0))


@pytest.mark.parametrize("damage", [b"", b"not a network"])
def test_a_proposing_network_that_is_damaged_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    source = proposal_weights(NETWORKS[0])
    (tmp_path / source.name).write_bytes(damage)
    assert open_kept(tmp_path / source.name, checksum(source)) is None
    Proposer(tmp_path)
    assert open_kept(tmp_path / source.name, checksum(source)) is not None


def test_where_the_folder_cannot_be_had_faces_are_proposed_by_the_networks_as_they_come(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    image = Image.new("RGB", (100, 100), "grey")
    assert len(Proposer(tmp_path / "file" / "folder").propose(image, 24.0)) == 0
    (warning,) = warnings_of(caplog)
    assert "more slowly" in warning and "cannot be written" in warning

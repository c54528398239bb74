"""What every test may ask for. Photos are the samples that `make test` fetches; a missing one fails, loudly."""

from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent.parent / ".samples"


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder with obama.jpg, obama2.jpg, biden.jpg and others of Obama."""
    folder = SAMPLES / "photos"
    assert folder.is_dir(), "no sample photos: run `make test`, or `make .samples/done` once"
    return folder


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder where the converted network is kept, so that it is made once and not by every test."""
    folder = SAMPLES / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PNG of somebody whom nobody enrols: the astronaut that scikit-image carries (NASA, public domain)."""
    from PIL import Image
    from skimage.data import astronaut

    path = tmp_path_factory.mktemp("stranger") / "stranger.png"
    Image.fromarray(astronaut()).save(path)
    return path

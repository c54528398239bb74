"""What several unit tests share."""

from pathlib import Path

import pytest
from keepers import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is two people, and a list of changes tells of no more."""
    monkeypatch.setattr("facefleet.recognition.keeper.PAGE", 2)
    monkeypatch.setattr("facefleet.backends.embedded.people.MAX_CHANGES", 2)

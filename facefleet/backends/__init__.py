"""The outside world, connected. Only entry points call this."""

from importlib import import_module

from facefleet.errors import BadSettings
from facefleet.ports import Backend
from facefleet.settings import Settings

BACKENDS = ("embedded", "aws")


def connect(settings: Settings) -> Backend:
    """The backend that the settings name; raises `BadSettings` for one there is not."""
    if settings.backend not in BACKENDS:
        raise BadSettings(f"FACEFLEET_BACKEND={settings.backend!r}: there is {' and '.join(BACKENDS)}")
    # Imported here, so that one machine needs nothing of the cloud's libraries, nor the cloud of SQLite.
    backend: Backend = import_module(f"facefleet.backends.{settings.backend}").connect(settings)
    return backend

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


def log_besides(settings: Settings) -> None:
    """Has this process's log lines go where the backend keeps them, too, if the settings name a place there."""
    if settings.backend == "aws" and settings.log_group:
        import_module("facefleet.backends.aws.logs").begin(settings.log_group)

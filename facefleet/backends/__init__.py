"""The outside world, connected. Only entry points call this."""

from importlib import import_module
from typing import Any

from facefleet.errors import BadSettings
from facefleet.ports import Backend, People
from facefleet.settings import Settings

BACKENDS = ("embedded", "aws")


def connect(settings: Settings) -> Backend:
    """The backend that the settings name; raises `BadSettings` for one there is not."""
    backend: Backend = _module(settings).connect(settings)
    return backend


def connect_people(settings: Settings) -> People:
    """The people of the backend that the settings name, where nothing else may be there; raises as `connect`."""
    people: People = _module(settings).connect_people(settings)
    return people


def log_besides(settings: Settings) -> None:
    """Has this process's log lines go where the backend keeps them, too, if the settings name a place there."""
    if settings.backend == "aws" and settings.log_group:
        import_module("facefleet.backends.aws.logs").begin(settings.log_group)


def _module(settings: Settings) -> Any:
    """Imported when it is asked for, so that one machine needs no cloud's libraries, nor the cloud SQLite."""
    if settings.backend not in BACKENDS:
        raise BadSettings(f"FACEFLEET_BACKEND={settings.backend!r}: there is {' and '.join(BACKENDS)}")
    return import_module(f"facefleet.backends.{settings.backend}")

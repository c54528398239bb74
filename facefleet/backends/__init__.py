"""The outside world, connected. Only entry points call this."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

from facefleet.backends.fleets import Fleets
from facefleet.errors import BadSettings
from facefleet.ports import Backend, Fleet, People
from facefleet.settings import Settings

BACKENDS = ("embedded", "aws")


def connect(settings: Settings) -> Backend:
    """The backend that the settings name; raises `BadSettings` for one there is not."""
    backend: Backend = _module(settings).connect(settings)
    if settings.backend != "aws":
        return backend
    machine_here = import_module("facefleet.backends.openstack.machine").machine_here
    backend = replace(backend, machine=machine_here(backend.machine, settings.fleets))
    return over_clouds(backend, settings) if settings.clouds else backend


def over_clouds(backend: Backend, settings: Settings) -> Backend:
    """With instances of the clouds that the settings name. None is asked for anything yet, nor its library loaded."""

    @cache
    def openstack() -> Any:
        return import_module("facefleet.backends.openstack").fleet_of(settings)

    all_of = import_module("facefleet.backends.aws").all_of
    makes: dict[str, Callable[[], Fleet]] = {"openstack": openstack, "ec2": lambda: backend.fleet}
    tidy = [backend.tidy] + [lambda: openstack().tidy()] * ("openstack" in settings.clouds)
    return replace(backend, fleet=Fleets(makes, settings.clouds), tidy=all_of(*tidy))


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

"""The service about itself: the page, its API's description, health, the fleet, and the purge."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from flask import Blueprint, Response, jsonify, render_template

from facefleet import __version__, answers, keys
from facefleet.errors import ServiceError
from facefleet.model import InstanceState
from facefleet.ports import Backend, Blobs
from facefleet.problems import Problem
from facefleet.settings import Settings
from facefleet.wire import Json
from web_tier.auth import needs
from web_tier.cache import Cache
from web_tier.erasure import erase_everybody, purge
from web_tier.router import ReplyRouter
from web_tier.uploads import json_object

#: The controller writes its status this often even when nothing changes, at a tick (`controller.status`); one that says
#: another `repeat`, as at rest, so often.
STATUS_REPEATED = 10.0
#: A status of this age is stale, or one that lacks some ticks, where these are long.
STALE_STATUS, MISSED_TICKS = 20.0, 3
#: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Instead of the controller's metrics, so that its absence can be told from a service that is away.
NO_CONTROLLER = """\
# HELP facefleet_controller_last_tick_timestamp_seconds When the controller looked last; 0: never.
# TYPE facefleet_controller_last_tick_timestamp_seconds gauge
facefleet_controller_last_tick_timestamp_seconds 0.0
"""
DEAD_LETTERS = """\
# HELP facefleet_dead_letters Messages that were given up.
# TYPE facefleet_dead_letters gauge
facefleet_dead_letters %d
"""


@dataclass(frozen=True)
class ServiceViews:
    """The views, given what they need."""

    backend: Backend
    router: ReplyRouter
    cache: Cache
    settings: Settings

    def blueprint(self) -> Blueprint:
        routes = Blueprint("service", __name__)
        routes.add_url_rule("/", view_func=self.page, methods=["GET"])
        routes.add_url_rule("/openapi.json", view_func=self.openapi, methods=["GET"])
        routes.add_url_rule("/healthz", view_func=self.healthz, methods=["GET"])
        routes.add_url_rule("/readyz", view_func=self.readyz, methods=["GET"])
        routes.add_url_rule("/v1/fleet", view_func=self.fleet, methods=["GET"])
        routes.add_url_rule("/metrics", view_func=self.metrics, methods=["GET"])
        routes.add_url_rule("/v1/purge", view_func=self.purge_all, methods=["POST"])
        return routes

    def page(self) -> str:
        return render_template(
            "index.html",
            keep_days=f"{self.settings.keep_days:g}",
            max_mb=f"{self.settings.max_upload_bytes / 1e6:g}",
            max_clip_mb=f"{self.settings.max_video_bytes / 1e6:g}",
            version=__version__,
        )

    def openapi(self) -> Response:
        return Response((Path(__file__).parent / "openapi.json").read_bytes(), content_type="application/json")

    def healthz(self) -> Response:
        return jsonify(status="alive", version=__version__)

    def readyz(self) -> tuple[Response, int]:
        failing = _failing(self.backend, self.router, self.settings)
        return jsonify(failing=failing), 503 if failing else 200

    @needs("recognise")
    def fleet(self) -> Response:
        depth, dead = self.backend.requests.depth(), self.backend.dead.depth().backlog
        queue = {"visible": depth.visible, "in_flight": depth.in_flight, "dead": dead}
        status = _fleet_status(self.backend.blobs, self.settings)
        # What the controller tells of it is some seconds old.
        oldest = None if depth.oldest is None else max(0.0, time.time() - depth.oldest)
        return jsonify({"queue": queue} | status | {"oldest": oldest})

    @needs("admin")
    def metrics(self) -> Response:
        told = answers.found(self.backend.blobs, keys.METRICS)
        dead = DEAD_LETTERS % self.backend.dead.depth().backlog
        return Response((NO_CONTROLLER if told is None else told.decode()) + dead, content_type=METRICS_TYPE)

    @needs("admin")
    def purge_all(self) -> Response:
        body = json_object()
        if body.get("confirm") != "purge":
            raise Problem(400, "not_confirmed", 'nothing was removed: confirm with {"confirm": "purge"}')
        # People first: from then on no worker stores an answer that names one.
        erased = erase_everybody(self.backend.people, self.backend.blobs) if body.get("people") is True else None
        removed = purge(self.backend.requests, self.backend.dead, self.backend.blobs)
        self.cache.clear()
        return jsonify(removed=removed if erased is None else removed | {"people": erased})


def _status(blobs: Blobs) -> Json | None:
    body = answers.found(blobs, keys.FLEET_STATUS)
    return None if body is None else dict(json.loads(body))


def stale_after(settings: Settings, repeat: float = STATUS_REPEATED) -> float:
    """Seconds after which a status says that the controller is gone."""
    return max(STALE_STATUS, repeat + MISSED_TICKS * settings.seconds_per_tick)


def _fleet_status(blobs: Blobs, settings: Settings) -> Json:
    nothing = {state.value: 0 for state in InstanceState}
    status = _status(blobs)
    if status is None:
        reason = "no controller has looked yet: start one with python -m controller"
        return {"instances": nothing, "desired": 0, "max": settings.instances_at_most, "reason": reason, "workers": []}
    age = time.time() - status.pop("at")
    if age > stale_after(settings, status.pop("repeat", STATUS_REPEATED)):
        status["reason"] = f"the controller was last seen {age:.0f} s ago: is it running?"
    return status


def _failing(backend: Backend, router: ReplyRouter, settings: Settings) -> list[str]:
    """What keeps the service from answering a photo posted now."""
    checks: dict[str, Callable[[], bool]] = {
        "queue": lambda: backend.requests.depth() is not None,
        "blobs": lambda: _writable(backend.blobs),
        "people": lambda: backend.people.list(limit=1) is not None,
        "replies": lambda: router.alive,
        "controller": lambda: _controlled(backend.blobs, settings),
        "samples": lambda: answers.found(backend.blobs, keys.SETTING_UP) is None,
    }
    return [name for name, check in checks.items() if not _passes(check)]


def _passes(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (ServiceError, OSError):
        return False


def _writable(blobs: Blobs) -> bool:
    """A real object is written: a full disk or a lost permission shows nowhere else."""
    key = f"{keys.STATE}ready-{uuid4().hex}"
    blobs.put(key, b"ready?")
    return blobs.delete(key)


def _controlled(blobs: Blobs, settings: Settings) -> bool:
    status = _status(blobs)
    if status is None:
        return False
    return time.time() - float(status["at"]) < stale_after(settings, float(status.get("repeat", STATUS_REPEATED)))

"""`POST /`: the upload that the course's load generators make, byte for byte as they expect it."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, request
from werkzeug.routing import PathConverter

from facefleet.keys import stem
from facefleet.problems import Problem, unless_failed
from facefleet.settings import Settings
from facefleet.wire import Json
from web_tier import auth
from web_tier.cache import HIT
from web_tier.desk import Desk
from web_tier.probe import Probe
from web_tier.uploads import probe_of

#: The field tells the dialect: 2021's clients compare the whole body, later ones take what follows the colon.
NAME_ONLY, STEM_AND_NAME = "myfile", "inputFile"
#: All, so that a page that is not there is "not found" rather than "wrong method, try POST".
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class ClassicPath(PathConverter):
    """Any path but ours: some load generators are given one."""

    regex = "(?!v1/|static/).*?"


@dataclass(frozen=True)
class ClassicViews:
    """The one view, given what it needs."""

    desk: Desk
    settings: Settings

    def blueprint(self) -> Blueprint:
        routes = Blueprint("classic", __name__)
        routes.record_once(lambda state: state.app.url_map.converters.update(classic=ClassicPath))
        routes.add_url_rule("/", view_func=self.upload, methods=["POST"])
        routes.add_url_rule("/<classic:path>", view_func=self.upload, methods=METHODS)
        return routes

    def upload(self, path: str = "") -> Response:
        if request.method != "POST":
            raise Problem(404, "not_found", f"there is no /{path}")
        if not self.settings.classic_open:
            auth.check("recognise")
        with self.desk.seat():
            field, probe = _probe(self.settings.max_pixels)
            job = self.desk.recognition(probe)
            if (known := self.desk.recall(job, probe)) is not None:
                return _answer(field, probe, known, HIT)
            result = self.desk.ask(job, probe, timeout=self.settings.classic_wait_limit)
            return _answer(field, probe, result)


def _probe(max_pixels: int) -> tuple[str, Probe]:
    for field in (STEM_AND_NAME, NAME_ONLY):
        # Compared with None, since a file without a name counts as false.
        if (upload := request.files.get(field)) is not None:
            return field, probe_of(upload, max_pixels)
    raise Problem(400, "no_file", f"send the image as a file in the multipart field {STEM_AND_NAME} or {NAME_ONLY}")


def _answer(field: str, probe: Probe, result: Json | None, headers: Mapping[str, str] | None = None) -> Response:
    if result is None:
        raise Problem(504, "no_answer_yet", "no worker answered in time: send it again")
    answer = unless_failed(result)["answer"]
    body = answer if field == NAME_ONLY else f"{stem(probe.filename)}:{answer}"
    return Response(body, headers=headers, content_type="text/plain; charset=utf-8")

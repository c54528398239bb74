"""Requests over HTTP: routed, guarded, and answered, whatever happens."""

import json
import logging
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, APIGatewayRestResolver, Response

from facefleet import __version__, problems
from facefleet.errors import ServiceError
from facefleet.problems import Problem
from facefleet.wire import Json
from lambda_tier import guard
from lambda_tier.asked import Request, plain_event, request_of
from lambda_tier.doing import Answer
from lambda_tier.events import Kind
from lambda_tier.outside import Outside
from lambda_tier.telling import Teller
from lambda_tier.views import Views
from lambda_tier.work import Left

log = logging.getLogger(__name__)

App = APIGatewayHttpResolver | APIGatewayRestResolver
View = Callable[..., Answer]
#: From this status on it is ours.
FAULT = 500


class Api:
    """Answers requests; made with the first of them, since routing has its price."""

    def __init__(self, views: Views, outside: Outside, teller: Teller) -> None:
        self._views = views
        self._outside = outside
        self._teller = teller
        self._apps = {
            Kind.HTTP_1: self._routed(APIGatewayRestResolver()),
            Kind.HTTP_2: self._routed(APIGatewayHttpResolver()),
        }

    def answer(self, event: Json, kind: Kind, context: Any, left: Left) -> Json:
        """What API Gateway makes an answer of; an error is one, too."""
        request, app = request_of(event, kind), self._apps[kind]
        app.context.update(request=request, left=left)
        answer: Json = app.resolve(plain_event(request, kind), context)
        return answer

    def _routed(self, app: App) -> App:
        views = self._views
        app.get("/healthz")(lambda: json_response(Answer(200, {"status": "alive", "version": __version__})))
        app.post("/v1/recognitions")(self._guarded(app, views.recognise))
        app.post("/v1/videos")(self._guarded(app, views.watch))
        app.post("/v1/uploads")(self._guarded(app, views.uploaded.begin))
        app.get("/v1/recognitions/<job_id>")(self._guarded(app, views.uploaded.result_of))
        app.get("/v1/videos/<job_id>")(self._guarded(app, views.uploaded.result_of))
        app.post("(?!/v1/).*")(self._guarded(app, views.frame))
        app.not_found(
            lambda _: problem_response(Problem(404, "not_found", "there is nothing here: POST /v1/recognitions"))
        )
        app.exception_handler(Exception)(lambda e: problem_response(problem_of(e)))
        return app

    def _guarded(self, app: App, view: View) -> Callable[..., "Response[str]"]:
        """The view, for whoever has a key; and a line in the log of each such request."""

        def guarded(**arguments: str) -> "Response[str]":
            request: Request = app.context["request"]
            with self._teller.record("http", f"{request.method} {view.__name__}") as told:
                try:
                    if not request.signed_by:
                        guard.check(request, self._outside.keys())
                    answer = view(request, app.context["left"], told, **arguments)
                except (Problem, ServiceError) as e:
                    problem = problem_of(e)
                    # Whoever asks for what there is not is no failure of ours.
                    told.outcome, told.failed = problem.code, problem.status >= FAULT
                    if told.failed:
                        log.warning("answered %d: %s", problem.status, problem.detail)
                    return problem_response(problem)
                return json_response(answer)

        return guarded


def problem_of(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, ServiceError):
        return problems.of_error(error)
    log.error("unexpected, answered 500", exc_info=error)
    return Problem(500, "internal_error", "something here is broken, and was logged: try again later")


def json_response(answer: Answer) -> "Response[str]":
    return Response(answer.status, "application/json", json.dumps(answer.body), dict(answer.headers))


def problem_response(problem: Problem) -> "Response[str]":
    return Response(problem.status, problems.CONTENT_TYPE, json.dumps(problems.to_json(problem)), dict(problem.headers))

"""The Flask app, given everything that it needs."""

from flask import Flask, Response, request

from facefleet.ports import Backend
from facefleet.settings import Settings
from web_tier import auth, problems
from web_tier.cache import Cache
from web_tier.classic import ClassicViews
from web_tier.desk import Desk
from web_tier.encodings import EncodingViews
from web_tier.idempotency import Once
from web_tier.people import PeopleViews
from web_tier.recognitions import RecognitionViews
from web_tier.rejections import RejectionViews
from web_tier.room import Room
from web_tier.router import ReplyRouter
from web_tier.service import ServiceViews
from web_tier.uploaded import Uploaded, UploadViews
from web_tier.videos import CLIPS_AT_ONCE, VideoViews

#: A client that stops sending in the middle gives its thread back after so many seconds.
BODY_TIMEOUT = 30.0
#: The page loads nothing from elsewhere, and no script that somebody slips in runs.
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


def create_app(backend: Backend, router: ReplyRouter, settings: Settings) -> Flask:
    app = _bare_app(settings)
    cache = Cache(backend.people.version, backend.blobs, max_bytes=settings.cache_bytes)
    desk = Desk(
        backend.requests,
        backend.blobs,
        router,
        cache,
        max_backlog=settings.max_backlog,
        max_uploads=settings.max_uploads,
    )
    once, uploaded = Once(backend.blobs), Uploaded(backend.blobs, backend.presign)
    room = Room(CLIPS_AT_ONCE * settings.max_video_bytes)
    routes = (
        RecognitionViews(desk, once, backend.blobs, uploaded, settings),
        VideoViews(desk, once, backend.blobs, uploaded, settings, room),
        UploadViews(backend.presign, settings),
        PeopleViews(desk, backend.people, backend.blobs, backend.requests, settings),
        EncodingViews(backend.people),
        RejectionViews(backend.people, backend.blobs),
        ServiceViews(backend, router, cache, settings),
        ClassicViews(desk, settings),
    )
    for views in routes:
        app.register_blueprint(views.blueprint())
    return app


def _bare_app(settings: Settings) -> Flask:
    """Without any route: what holds for all of them."""
    app = Flask(__name__)
    # In the order that a person reads in.
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_bytes
    # Else an image sent as a text field would be called too large, and not in the wrong place.
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_upload_bytes
    app.before_request(_bound_waiting)
    auth.install(app, settings.keys)
    problems.install(app)
    app.after_request(_harden)
    return app


def _bound_waiting() -> None:
    if socket := request.environ.get("gunicorn.socket"):
        socket.settimeout(BODY_TIMEOUT)


def _harden(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    # Faces and names stay out of every cache between here and the client.
    response.headers.setdefault("Cache-Control", "no-store")
    return response

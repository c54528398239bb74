"""`/v1/videos`: who is in this clip?"""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response, request

from facefleet.idempotencykey import HEADER, key_of
from facefleet.parameters import flag, top_k
from facefleet.ports import Blobs
from facefleet.settings import Settings
from web_tier.answering import Answering, queued, show
from web_tier.auth import needs
from web_tier.desk import Desk
from web_tier.idempotency import Once
from web_tier.room import Room
from web_tier.uploaded import Uploaded
from web_tier.uploads import CLIPS, Upload, file_of_request

#: Of the largest clips. While they are read they take up to twice as much: 0.8 GB in all, measured with 50 MB each.
CLIPS_AT_ONCE = 8


@dataclass(frozen=True)
class VideoViews:
    """The views, given what they need."""

    desk: Desk
    once: Once
    blobs: Blobs
    uploaded: Uploaded
    settings: Settings
    room: Room

    def blueprint(self) -> Blueprint:
        routes = Blueprint("videos", __name__)
        routes.add_url_rule("/v1/videos", view_func=self.watch, methods=["POST"])
        routes.add_url_rule("/v1/videos/<job_id>", view_func=self.result_of, methods=["GET"])
        return routes

    @needs("recognise")
    def watch(self) -> Response:
        with self.desk.seat(), ExitStack() as room:
            candidates, everybody = top_k(request.args), flag(request.args, "appearances")
            key = key_of(request.headers.get(HEADER))
            room.enter_context(self.room.held(self._bound_body()))
            clip = file_of_request(CLIPS)
            ask = partial(self.desk.video, top_k=candidates, everybody=everybody)
            if isinstance(clip, Upload):
                return self.uploaded.answer(clip, ask, self._answering())
            # Once it is sent nothing of it is held, however long its answer takes.
            return self._answering().answer(ask(clip), clip, key, room.close)

    def _bound_body(self) -> int:
        """Has this request bounded as clips are; returns how many bytes it may have, as far as it says."""
        most = self.settings.max_video_bytes
        request.max_content_length = request.max_form_memory_size = most
        return most if request.content_length is None else min(request.content_length, most)

    def _answering(self) -> Answering:
        return Answering(self.desk, self.once, self.blobs, "videos.result_of", self.settings.video_wait, queued)

    @needs("recognise")
    def result_of(self, job_id: str) -> Response:
        return show(self.blobs, job_id)

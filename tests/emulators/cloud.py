"""EC2 and Auto Scaling on a loopback port, by moto, in a world that tests change over HTTP.

Run by the Python of `.emulators`, as `cloud.py PORT`; `CLOUD_WORLD` may hold what `POST /_world` takes.

- `GET /_counts`: how many calls each operation had. `GET /_instances`: all there ever were, with state, tags, and the
  process number of the double.
- `POST /_world {"boot": 0.1, "stop": …, "end": …, "page": …, "command": […], "env": {…}, "grace": …, "log": "…"}`
- `POST /_faults {"throttle": share, "no_capacity": share or [types, "spot"], "lag": seconds, "cut": {call: times},
  "refuse": {call: [ids]}}`: of a call that is cut, all is done and nothing is answered; one that is refused is so for
  the sake of an id in it. A fault that is not named ends.
- `POST /_kill {"ids": […], "how": "lost" or "crashed"}`: the machine is gone, or only what ran on it.
- `POST /_notice {"id": "i-…", "kind": "spot" or "rebalance"}`: on the instance's metadata, `/imds/ID/latest/…`;
  with `"after": seconds`, EC2 takes the instance back then
"""

import io
import json
import logging
import os
import signal
import socket
import sys
from collections import Counter
from html import escape

import patches
from imds import Metadata
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response
from world import WORLD

PORT, HOST = int(sys.argv[1]), os.environ.get("EMULATOR_HOST", "127.0.0.1")
COUNTS: Counter[str] = Counter()
MOTO = DomainDispatcherApplication(create_backend_app)
METADATA = Metadata()
FAULTS = {"throttle": 0.0, "no_capacity": 0.0, "lag": 0.0, "cut": {}, "refuse": {}}
#: Of EC2, and of Auto Scaling.
THROTTLED = {"ec2": ("RequestLimitExceeded", 503), "autoscaling": ("Throttling", 400)}
ERRORS = {
    "ec2": "<Response><Errors><Error><Code>{code}</Code><Message>{words}</Message></Error></Errors></Response>",
    "autoscaling": "<ErrorResponse><Error><Code>{code}</Code><Message>{words}</Message></Error></ErrorResponse>",
}


class Told:
    """What a test says to the world, and asks it; one method for each path."""

    def __init__(self) -> None:
        self.faults = dict(FAULTS)

    def get_counts(self) -> object:
        return dict(COUNTS)

    def get_instances(self) -> object:
        return [
            {
                "id": one.id,
                "state": one.state,
                "image": one.image_id,
                "type": one.instance_type,
                "subnet": one.subnet_id,
                "ip": one.private_ip,
                "spot": one.lifecycle == "spot",
                "http_tokens": one.metadata_options.http_tokens,
                "tags": {tag["key"]: tag["value"] for tag in one.get_tags()},
                "pid": WORLD.doubles.alive(one.id),
            }
            for one in WORLD.ec2.all_instances()
        ]

    def post_world(self, **settings: object) -> None:
        WORLD.change(settings)

    def post_faults(self, **faults: object) -> None:
        if unknown := faults.keys() - FAULTS.keys():
            raise ValueError(f"no such fault: {unknown}")
        self.faults = FAULTS | faults
        WORLD.change({name: self.faults[name] for name in ("no_capacity", "lag")})

    def post_kill(self, ids: list[str], how: str = "lost") -> None:
        for id in ids:
            WORLD.doubles.kill(id) if how == "crashed" else WORLD.lose(id)

    def post_notice(self, id: str, kind: str, after: float | None = None) -> None:
        METADATA.give_notice(id, kind, after)
        if after is not None:
            WORLD.later(WORLD.ec2.get_instance(id), after, lambda: WORLD.reclaim(id))

    def answer(self, request: Request) -> Response:
        say = getattr(self, f"{request.method.lower()}{request.path.replace('/', '')}")
        with WORLD.lock:
            return Response(json.dumps(say(**(request.get_json(force=True) if request.method == "POST" else {}))))


TOLD = Told()


def application(environ, start_response):
    request = Request(environ)
    if request.path.startswith("/_"):
        return TOLD.answer(request)(environ, start_response)
    if request.path.startswith("/imds/"):
        return METADATA.answer(request)(environ, start_response)
    # The body can be read once: moto reads it from here again.
    body = request.get_data()
    action = request.form.get("Action", "?")
    environ["wsgi.input"] = io.BytesIO(body)
    COUNTS[action] += 1
    with WORLD.lock:
        answer = (
            throttled(environ, action)
            or refused(environ, action, body)
            or Response.from_app(MOTO, environ, buffered=True)
        )
        cut = TOLD.faults["cut"]
        if cut.get(action):
            cut[action] -= 1
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    if b"InsufficientInstanceCapacity" in answer.data:
        # The service's fault, it says of itself; boto3 tries such a call again.
        answer.status_code = 500
    return answer(environ, start_response)


def throttled(environ, action: str) -> Response | None:
    if WORLD.chance.random() >= TOLD.faults["throttle"]:
        return None
    code, status = THROTTLED[service_of(environ)]
    return error(environ, code, status, f"{action} too often")


def refused(environ, action: str, body: bytes) -> Response | None:
    if not any(id.encode() in body for id in TOLD.faults["refuse"].get(action, ())):
        return None
    return error(environ, "ValidationError", 400, f"{action} is not possible now")


def error(environ, code: str, status: int, words: str) -> Response:
    return Response(ERRORS[service_of(environ)].format(code=code, words=escape(words)), status, mimetype="text/xml")


def service_of(environ) -> str:
    return "autoscaling" if "/autoscaling/" in environ.get("HTTP_AUTHORIZATION", "") else "ec2"


def stop(*_: object) -> None:
    raise SystemExit


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, stop)
    patches.patch()
    if "CLOUD_MACHINES" in os.environ:
        import in_region

        in_region.install(METADATA, **json.loads(os.environ["CLOUD_MACHINES"]))
    WORLD.metadata = f"http://{HOST}:{PORT}"
    WORLD.change(json.loads(os.environ.get("CLOUD_WORLD", "{}")))
    try:
        make_server(HOST, PORT, application, threaded=True).serve_forever()
    finally:
        WORLD.doubles.kill_all()

"""What the relay and a process that recognises for it say to each other: a line of JSON for each object and answer.

Which objects, and results as clients see them: no image, and no encoding of a face.
"""

import json
from dataclasses import asdict

from facefleet.arrivals import Arrival
from facefleet.errors import Unavailable
from facefleet.wire import Json
from openstack_relay.doing import Failed

#: Said once the models are loaded.
READY = b'{"ready": true}\n'


def ask(arrival: Arrival) -> bytes:
    return _line(asdict(arrival))


def asked(line: bytes) -> Arrival:
    return Arrival(**json.loads(line))


def answer(result: Json | None) -> bytes:
    return _line({"result": result})


def trouble(error: Unavailable) -> bytes:
    return _line({"failed" if isinstance(error, Failed) else "unavailable": error.detail})


def answered(line: bytes) -> Json | None:
    """The result, None where the object is gone; raises `Failed` or `Unavailable` as it was raised there."""
    body = json.loads(line)
    if "failed" in body:
        raise Failed(body["failed"])
    if "unavailable" in body:
        raise Unavailable(body["unavailable"])
    result: Json | None = body["result"]
    return result


def _line(body: object) -> bytes:
    return json.dumps(body).encode() + b"\n"

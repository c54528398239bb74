"""What tests of a function's deployment have in common: images in ECR, names of their own, and a door that answers."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import boto3
import pytest

from bench.emulators import ACCOUNT, REGION, AccountEmulator
from facefleet.backends.aws.account.serverless import FunctionWish
from facefleet.backends.aws.account.serverless_account import FunctionAccount
from facefleet.backends.aws.account.serverless_destruction import of_function

REPOSITORY = "facefleet-function"
PLACE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}"
OCI = "application/vnd.oci.image"


def pushed(tag: str) -> str:
    """An image by a tag, which another image may have had before."""
    ecr = boto3.client("ecr")
    with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName=REPOSITORY)
    config = {"mediaType": f"{OCI}.config.v1+json", "size": 2, "digest": f"sha256:{uuid4().hex * 2}"}
    manifest = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": []}
    ecr.put_image(repositoryName=REPOSITORY, imageManifest=json.dumps(manifest), imageTag=tag)
    return f"{PLACE}:{tag}"


def names(name: str) -> dict[str, str]:
    """The environment of a deployment that shares nothing with others."""
    kinds = ("input_bucket", "output_bucket", "state_bucket", "people_table", "request_queue", "response_queue")
    return {f"FACEFLEET_{kind.upper()}": f"{name}-{kind.partition('_')[0]}" for kind in kinds}


@contextmanager
def deployment(account: AccountEmulator, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of one that the environment is set for, and which is gone in the end."""
    name = f"f-{uuid4().hex[:8]}"
    for key, value in {**account.env, **names(name)}.items():
        patch.setenv(key, value)
    yield name
    for step in of_function(FunctionAccount(name).account):
        step.act()


def made(account: FunctionAccount, env: Mapping[str, str], **given: object) -> FunctionWish:
    wish = account.wish(env, given)
    account.check(wish)
    account.stack.carry_out(account.plan(wish))
    return wish


class Door:
    """Stands for a function's address: it answers uploads that carry this key, as long as it is open."""

    def __init__(self) -> None:
        self.open, self.key, self.uploads = True, "", 0


@contextmanager
def answering() -> Iterator[tuple[str, Door]]:
    door = Door()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.tell(200 if door.open else 502, {"status": "alive"})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            door.uploads += 1
            known = door.key in ("", self.headers["x-api-key"]) and self.path == "/v1/recognitions"
            self.tell(200 if known else 401, {"status": "done", "answer": "unknown"})

        def tell(self, status: int, body: object) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", door
        server.shutdown()

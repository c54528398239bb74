"""A relay as a process of its own, on an account of emulators, with people enrolled and clips made of their photos."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image
from unit.clips import clip_of

from bench.local import as_ours, awaited
from facefleet.backends.aws.account import relay
from facefleet.backends.aws.account.resources import apply, ensure
from facefleet.backends.aws.clients import Clients, connect_clients
from facefleet.backends.aws.function import connect
from facefleet.model import Person, Photo
from facefleet.recognition.encoder import open_encoder
from facefleet.recognition.images import Picture
from facefleet.settings import Settings

#: Seconds of anything that is waited for; reached only where something is broken.
PATIENCE = 90.0
PEOPLE = {"obama": {"major": "law", "year": "senior"}, "biden": {"major": "law", "year": "junior"}}


@dataclass
class Site:
    folder: Path
    env: Mapping[str, str]
    settings: Settings
    clients: Clients
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, module: str, *args: str, **env: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{module}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *args],
                env={**os.environ, **self.env, **env},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def relay(self, **env: str) -> subprocess.Popen[bytes]:
        return self.start("openstack_relay", **env)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """`kill -9`, of that one process."""
        process.kill()
        process.wait()

    def put(self, key: str, data: bytes) -> None:
        self.clients.s3.put_object(Bucket=self.settings.input_bucket, Key=key, Body=data)

    def tell_again(self, key: str) -> None:
        """The same event once more, as S3 may send it."""
        found = self.clients.s3.head_object(Bucket=self.settings.input_bucket, Key=key)
        told = {"key": key, "size": found["ContentLength"], "sequencer": "0A", "eTag": "x"}
        if "VersionId" in found:
            told["versionId"] = found["VersionId"]
        bucket = {"name": self.settings.input_bucket}
        record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": bucket, "object": told}}
        for _ in range(2):
            self.clients.sqs.send_message(
                QueueUrl=self.url(self.settings.relay_input), MessageBody=json.dumps({"Records": [record]})
            )

    def url(self, queue: str) -> str:
        return str(self.clients.sqs.get_queue_url(QueueName=queue)["QueueUrl"])

    def backlog(self, queue: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.clients.sqs.get_queue_attributes(QueueUrl=self.url(queue), AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    def letters(self) -> list[dict[str, Any]]:
        """The relay's dead letters, which are gone then."""
        url, found = self.url(f"{self.settings.relay_input}-dead"), list[dict[str, Any]]()
        now = {"MaxNumberOfMessages": 10, "WaitTimeSeconds": 0}
        while messages := self.clients.sqs.receive_message(QueueUrl=url, **now).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.clients.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def files(self) -> dict[str, str]:
        """Results at home, by the names of their files."""
        folder = self.settings.relay_folder
        return {path.name: path.read_text() for path in folder.glob("[!.]*")} if folder.exists() else {}

    def await_files(self, count: int) -> dict[str, str]:
        awaited(lambda: len(self.files()) >= count, f"{count} files are at home", seconds=PATIENCE)
        return self.files()

    def await_all_acked(self) -> None:
        awaited(lambda: not self.backlog(self.settings.relay_input), "the input queue is empty", seconds=PATIENCE)

    def log(self, module: str = "openstack_relay") -> str:
        return (self.folder / f"{module}.log").read_text()


@contextmanager
def site(folder: Path, env: Mapping[str, str], photos: Path, models: Path, **settings: str) -> Iterator[Site]:
    """Everything that a relay works on, made by the commands' own code, and no relay yet."""
    own = uuid4().hex[:12]
    names = ("request_queue", "response_queue", "input_bucket", "output_bucket", "state_bucket", "people_table")
    given = {f"FACEFLEET_{name.upper()}": f"{name.replace('_', '-')}-{own}" for name in (*names, "relay_input")}
    given |= {
        "FACEFLEET_BACKEND": "aws",
        "FACEFLEET_DATA": str(folder / "data"),
        "FACEFLEET_MODELS": str(models),
        "FACEFLEET_RELAY_FOLDER": str(folder / "results"),
        "FACEFLEET_STRANGER_RATE": "0.05",
    } | {f"FACEFLEET_{name}": value for name, value in settings.items()}
    (folder / "results").mkdir(exist_ok=True)
    with as_ours({**env, **given}):
        known = Settings.from_env(given)
        clients = connect_clients()
        ensure(clients, known)
        apply(relay.plan(clients, known))
        enrol(known, photos)
        made = Site(folder, {**env, **given}, known, clients)
        try:
            yield made
        finally:
            for process in made.started:
                process.send_signal(signal.SIGTERM)
            for process in made.started:
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def enrol(settings: Settings, photos: Path) -> None:
    encode = open_encoder(settings.models_folder, smallest_face=settings.smallest_face)
    people = connect(settings).people
    for id, attributes in PEOPLE.items():
        (face,) = encode(Picture((photos / f"{id}.jpg").read_bytes(), max_pixels=settings.max_pixels))
        photo = Photo(uuid4().hex, face.box, face.encoding.astype("<f4").tobytes())
        people.put(Person(id, id.title(), attributes, (photo,)))


def clip_from(photo: Path, *, seconds: float = 0.5) -> bytes:
    """A clip that shows a photo."""
    image = Image.open(photo).convert("RGB")
    image.thumbnail((640, 640))
    return clip_of((image, seconds))

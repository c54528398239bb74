"""The relay with our own function behind Lambda's door, as AWS's runtime starts it: clips in, files at home."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from unit.clips import clip_of

from bench import relay as bench
from bench.lambda_api import Failure, LambdaApi
from bench.local import awaited
from bench.runtime_api import RuntimeApi
from bench.serverless import EVENTS, Site, serverless
from facefleet.cli.loading.outputs import given_by
from facefleet.model import Box, Person, Photo
from facefleet.recognition.encoder import open_encoder
from facefleet.recognition.images import Picture
from lambda_tier.handler import outside_of
from openstack_relay.spool import FILE
from openstack_relay.status import spooled

pytestmark = pytest.mark.slow

CLIPS = 4
ROW = ("law", "freshmen")


@dataclass(frozen=True)
class Deployed:
    site: Site
    api: LambdaApi
    function: RuntimeApi
    folder: Path

    def start(self) -> "subprocess.Popen[bytes]":
        settings = {"RELAY_INPUT": EVENTS, "RELAY_OUTPUT": self.site.settings.response_queue}
        env = bench.env_of(
            self.folder, self.api.url, **settings, VISIBILITY_TIMEOUT="3", DATA=str(self.folder / "relay")
        )
        return bench.start(self.folder, dict(self.site.env) | dict(env))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, photos: Path, models: Path) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("site")
    with serverless(folder, MODELS=str(models)) as site:
        site.clients.sqs.create_queue(QueueName=site.settings.response_queue)
        for queue in (EVENTS, site.settings.response_queue):
            site.clients.sqs.create_queue(QueueName=f"{queue}-dead")
        [face] = open_encoder(models, smallest_face=0.03)(
            Picture((photos / "obama.jpg").read_bytes(), max_pixels=10**8)
        )
        photo = Photo("0" * 32, Box(0, 0, 1, 1), face.encoding.tobytes())
        outside_of(site.settings, {}).people.put(
            Person("obama", "Obama", {"major": "law", "year": "freshmen"}, (photo,))
        )
        with site.environment() as function:

            def work(event: object) -> object:
                done = function.api.invoke(event)
                if done.error is not None:
                    raise Failure(done.error["errorMessage"])
                return done.answer

            with LambdaApi(work).serving() as api:
                yield Deployed(site, api, function.api, folder)


def test_clips_that_come_into_the_bucket_are_files_at_home_however_often_the_relay_is_killed(
    deployed: Deployed, photos: Path
) -> None:
    with Image.open(photos / "obama2.jpg") as photo:
        photo.thumbnail((400, 400))
        clip = clip_of((photo.convert("RGB"), 0.2))
    s3, bucket = deployed.site.clients.s3, deployed.site.settings.input_bucket
    relay = deployed.start()
    try:
        for n in range(CLIPS):
            s3.put_object(Bucket=bucket, Key=f"test_{n}.mp4", Body=clip)
            awaited(lambda n=n: len(deployed.api.seen) > n, "the function is called")
            # In the middle of its work, or just behind it.
            relay.kill()
            relay.wait()
            relay = deployed.start()
        home = deployed.folder / "results"
        awaited(lambda: len(list(home.glob("*.txt"))) >= CLIPS, "all at home")
        found = given_by(str(home), ("major", "year"))
        awaited(lambda: spooled(deployed.folder / "relay" / FILE).events == {"done": CLIPS}, "all known to be done")
    finally:
        relay.kill()
        relay.wait()
    assert [(one.key, one.name, one.attributes) for one in found] == [(f"test_{n}", "obama", ROW) for n in range(CLIPS)]
    noted = bench.calls_of(deployed.folder, "relay")
    assert {one.call for one in deployed.api.seen} <= noted.keys()

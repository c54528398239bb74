"""A serverless deployment on this machine: S3, SQS and DynamoDB by an emulator, the function by Lambda's own runtime.

Events travel as in an account: S3 tells of each object, and an environment of the function, a process that has one
event at a time, is woken for it. An event whose function fails comes again, as often as Lambda lets it.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from bench import emulators
from bench.local import PATIENCE, as_ours
from bench.runtime_api import COMMAND, Running, running
from facefleet.backends.aws.account.resources import ensure
from facefleet.backends.aws.clients import Clients, connect_clients
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

KEY = "the-key-of-this-bench"
EVENTS, DEAD, ONCE = "events", "dead", "once"
#: Of an asynchronous event, besides the first: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
RETRIES = 2
#: Seconds of one look for events.
LOOK = 1


@dataclass(frozen=True)
class Woken:
    """An event of S3, and how long the function had it, in seconds; `error`: what the runtime told, if it failed."""

    event: Mapping[str, Any]
    seconds: float
    error: Mapping[str, Any] | None


@dataclass
class Site:
    """What a deployment has, but for the function. `env` is that of its processes, and of this one meanwhile."""

    folder: Path
    env: Mapping[str, str]
    settings: Settings
    clients: Clients
    woken: list[Woken] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """Lines of JSON of all environments, as CloudWatch has them."""
        return self.folder / "function.log"

    def facefleet(self, *command: str) -> str:
        """What the command line says; raises `RuntimeError` with what it complains of."""
        done = subprocess.run(  # noqa: S603  # our own command, and no shell
            [sys.executable, "-m", "facefleet.cli", *command],
            env=dict(self.env),
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE,
        )
        if done.returncode not in (0, 1) or not done.stdout:
            raise RuntimeError(f"facefleet {command[0]} failed: {done.stderr[-1000:]}")
        return done.stdout

    @contextmanager
    def environment(self, command: Sequence[str] = COMMAND) -> Iterator[Running]:
        with self.log.open("ab") as log, running(self.env, command=tuple(command), stdout=log) as function:
            yield function

    @contextmanager
    def events_to(self, environments: Sequence[Running]) -> Iterator[None]:
        """Each event of S3 wakes one of these, as long as this lasts."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._pump, args=(one, stop)) for one in environments]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _pump(self, function: Running, stop: threading.Event) -> None:
        sqs = connect_clients().sqs
        url = sqs.get_queue_url(QueueName=EVENTS)["QueueUrl"]
        while not stop.is_set():
            found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=LOOK).get("Messages", ())
            for message in found:
                self._wake(function, json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _wake(self, function: Running, event: Mapping[str, Any]) -> None:
        for _ in range(1 + RETRIES):
            done = function.api.invoke(event)
            # S3 tries where it tells once, which is no object.
            if "Records" in event:
                self.woken.append(Woken(event, done.seconds, done.error))
            if done.error is None:
                return

    def deliver_again(self, environments: Sequence[Running], events: Sequence[Mapping[str, Any]]) -> int:
        """Each of these to all of the environments at the same time; how many of those calls there were."""
        tasks: list[tuple[Running, SimpleQueue[Mapping[str, Any]]]] = [(one, SimpleQueue()) for one in environments]
        for event in events:
            threads = [threading.Thread(target=self._wake, args=(one, event)) for one, _ in tasks]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return len(tasks) * len(events)

    def messages(self, queue: str) -> list[str]:
        """All that lie there; they are gone, then."""
        url = self.clients.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        bodies: list[str] = []
        while found := self.clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=LOOK).get(
            "Messages"
        ):
            for message in found:
                bodies.append(message["Body"])
                self.clients.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def outputs(self) -> list[str]:
        pages = self.clients.s3.get_paginator("list_objects_v2").paginate(Bucket=self.settings.output_bucket)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]


@contextmanager
def serverless(folder: Path, **settings: str) -> Iterator[Site]:
    """`settings`: as in the environment, without the prefix; everything ends with the block."""
    with ExitStack() as ending:
        store = ending.enter_context(emulators.store())
        ours = {"BACKEND": "aws", "DATA": str(folder / "data"), "API_KEYS": f"{KEY}:recognise", "API_KEY": KEY}
        given = {f"{PREFIX}{name}": value for name, value in (ours | settings).items()}
        own = {"IDEMPOTENCY_TABLE": ONCE, "DEAD_QUEUE": DEAD, "NO_PROXY": "127.0.0.1"}
        env = {**os.environ, **store.env, **given, **own}
        ending.enter_context(as_ours(env))
        site = Site(folder, env, Settings.from_env(env), connect_clients())
        ensure(site.clients, site.settings)
        _make_the_functions_own(site)
        yield site


def _make_the_functions_own(site: Site) -> None:
    sqs, s3, dynamodb = site.clients.sqs, site.clients.s3, site.clients.dynamodb
    sqs.create_queue(QueueName=DEAD)
    # Longer than Lambda tries.
    sqs.create_queue(QueueName=EVENTS, Attributes={"VisibilityTimeout": "300"})
    dynamodb.create_table(
        TableName=ONCE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    url = sqs.get_queue_url(QueueName=EVENTS)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=site.settings.input_bucket, NotificationConfiguration=told)

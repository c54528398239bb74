"""Calls that change nothing, or take back at once what they did, and show whether a tier may do its work."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from facefleet import keys
from facefleet.backends.aws.account.wanted import INDEX
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.faults import DENIED, code_of
from facefleet.backends.aws.fleet import request
from facefleet.backends.aws.offers import offers_of
from facefleet.backends.aws.replies import ALIVE_AT, RESPONSE_QUEUE
from facefleet.settings import Settings

#: Refusals that come only after the caller was let in: SQS's of what no queue takes, S3's and DynamoDB's of what is
#: not there, and EC2's of what was only asked for to see.
#: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html
LET_IN = frozenset(
    {
        "ConditionalCheckFailedException",
        "DryRunOperation",
        "InvalidMessageContents",
        "InvalidParameterValue",
        "NoSuchKey",
        "NoSuchVersion",
        "PreconditionFailed",
        "ReadCountOutOfRange",
        "ReceiptHandleIsInvalid",
    }
)
#: No queue takes this character, whoever sends it:
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
UNSENDABLE = "\x00"
NOBODY = "facefleet-doctor"


@dataclass(frozen=True, slots=True)
class Probe:
    """A call of a tier. `service`: whose answer it needs."""

    tier: str
    service: str
    what: str
    call: Callable[[], object]


def outcome(probe: Probe) -> str:
    """Empty if the caller may do it; else the code that says why not, or why nobody knows."""
    try:
        probe.call()
    except ClientError as e:
        return "" if code_of(e) in LET_IN else code_of(e)
    return ""


def is_denial(code: str) -> bool:
    return code in DENIED


def probes(clients: Clients, settings: Settings) -> tuple[Probe, ...]:
    """Of every tier. What cannot be tried without harm, as emptying a queue, is not."""
    return (*_web(clients, settings), *_worker(clients, settings), *_controller(clients, settings))


def _web(clients: Clients, settings: Settings) -> Iterator[Probe]:
    requests, response = Queue(clients.sqs, settings.request_queue), settings.response_queue
    own = Queue(clients.sqs, _own(response))
    # The controller removes a queue with these, should it stay.
    abandoned = {ALIVE_AT: "0", RESPONSE_QUEUE: response}
    state, people = Shelf(clients.s3, settings.state_bucket), Rows(clients.dynamodb, settings.people_table)
    yield Probe("web", "sqs", "send requests", requests.send_nothing)
    yield Probe("web", "sqs", "see the request queue", requests.depth)
    yield Probe("web", "sqs", "own a response queue", lambda: own.make_use_and_remove(abandoned))
    yield Probe("web", "s3", "write and erase images", Shelf(clients.s3, settings.input_bucket).pass_by("claims/"))
    yield Probe("web", "s3", "read answers", state.read(keys.RESULTS))
    yield Probe("web", "s3", "write and erase state", state.pass_by(f"{keys.STATE}ready-"))
    yield Probe("web", "s3", "note what was sent under a key", state.pass_by(keys.IDEMPOTENCY))
    yield from _of_people("web", people, Rows(clients.dynamodb, settings.people_table + INDEX))
    yield Probe("web", "dynamodb", "erase people", people.delete_nobody)


def _worker(clients: Clients, settings: Settings) -> Iterator[Probe]:
    requests, state = Queue(clients.sqs, settings.request_queue), Shelf(clients.s3, settings.state_bucket)
    yield Probe("worker", "sqs", "receive requests", requests.receive_nothing)
    yield Probe("worker", "sqs", "delete requests", requests.delete_nothing)
    yield Probe("worker", "sqs", "extend leases", requests.extend_nothing)
    yield Probe("worker", "s3", "write and erase images", Shelf(clients.s3, settings.input_bucket).pass_by("claims/"))
    yield Probe("worker", "s3", "read large images", Shelf(clients.s3, settings.input_bucket).read("claims/"))
    if settings.relay_by == "fleet":
        what = "read what came for a relay (worker-relay.json)"
        yield Probe("worker", "s3", what, Shelf(clients.s3, settings.input_bucket).read(""))
    for area in (keys.WORKERS, keys.PHOTOS, keys.GALLERY):
        yield Probe("worker", "s3", f"write and erase {area}", state.pass_by(area))
    tables = (Rows(clients.dynamodb, settings.people_table + end) for end in ("", INDEX))
    yield from _of_people("worker", *tables)


def _of_people(tier: str, people: "Rows", index: "Rows") -> Iterator[Probe]:
    yield Probe(tier, "dynamodb", "read people", people.get_nobody)
    yield Probe(tier, "dynamodb", "change people", people.update_nobody)
    yield Probe(tier, "dynamodb", "list people", index.query_nobody)
    yield Probe(tier, "dynamodb", "note changes of people", index.put_nobody)


def _controller(clients: Clients, settings: Settings) -> Iterator[Probe]:
    requests, dead = (Queue(clients.sqs, settings.request_queue + end) for end in ("", "-dead"))
    state = Shelf(clients.s3, settings.state_bucket)
    yield Probe("controller", "sqs", "see the request queue", requests.depth)
    yield Probe("controller", "sqs", "receive dead letters", dead.receive_nothing)
    yield Probe("controller", "sqs", "settle dead letters", dead.extend_nothing)
    yield Probe("controller", "sqs", "find response queues", lambda: clients.sqs.list_queues(MaxResults=1))
    yield Probe("controller", "s3", "read heartbeats", state.read(keys.WORKERS))
    yield Probe("controller", "s3", "write the fleet's state", state.replace_nothing(keys.STATE))
    yield Probe("controller", "dynamodb", "tidy", Rows(clients.dynamodb, settings.people_table + INDEX).query_nobody)
    if settings.asks_ec2:
        yield from _fleet(clients, settings)


def _fleet(clients: Clients, settings: Settings) -> Iterator[Probe]:
    yield Probe("controller", "ec2", "see instances", lambda: clients.ec2.describe_instances(MaxResults=5))
    if settings.auto_scaling_group:
        name = settings.auto_scaling_group
        see = clients.autoscaling.describe_auto_scaling_groups
        yield Probe("controller", "autoscaling", "see the group", lambda: see(AutoScalingGroupNames=[name]))
    else:
        launch = request(
            _own(""), next(iter(offers_of(settings).values())), settings.instance_name, settings.launch_template
        )
        yield Probe("controller", "ec2", "launch", lambda: clients.ec2.run_instances(**launch, DryRun=True))


def _own(prefix: str) -> str:
    """A name that nobody else has."""
    return f"{prefix}-doctor-{uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, and what can be asked of it that does nothing."""

    sqs: Any
    name: str

    def _url(self) -> str:
        return str(self.sqs.get_queue_url(QueueName=self.name)["QueueUrl"])

    def send_nothing(self) -> None:
        self.sqs.send_message(QueueUrl=self._url(), MessageBody=UNSENDABLE)

    def receive_nothing(self) -> None:
        self.sqs.receive_message(QueueUrl=self._url(), MaxNumberOfMessages=0)

    def delete_nothing(self) -> None:
        self.sqs.delete_message(QueueUrl=self._url(), ReceiptHandle=NOBODY)

    def extend_nothing(self) -> None:
        self.sqs.change_message_visibility(QueueUrl=self._url(), ReceiptHandle=NOBODY, VisibilityTimeout=1)

    def depth(self) -> None:
        self.sqs.get_queue_attributes(QueueUrl=self._url(), AttributeNames=["ApproximateNumberOfMessages"])

    def make_use_and_remove(self, tags: dict[str, str]) -> None:
        url = self.sqs.create_queue(QueueName=self.name, tags=tags)["QueueUrl"]
        try:
            self.sqs.receive_message(QueueUrl=url)
            self.sqs.list_queue_tags(QueueUrl=url)
        finally:
            self.sqs.delete_queue(QueueUrl=url)


@dataclass(frozen=True, slots=True)
class Shelf:
    """A bucket, and objects in it that are there for a moment or not at all."""

    s3: Any
    bucket: str

    def read(self, prefix: str) -> Callable[[], object]:
        return lambda: self.s3.get_object(Bucket=self.bucket, Key=prefix + _own(NOBODY))

    def pass_by(self, prefix: str) -> Callable[[], object]:
        """Writes an object, and erases that version of it."""

        def call() -> None:
            at = {"Bucket": self.bucket, "Key": prefix + _own(NOBODY)}
            version = self.s3.put_object(**at, Body=b"").get("VersionId")
            self.s3.delete_object(**at, **({"VersionId": version} if version else {}))

        return call

    def replace_nothing(self, prefix: str) -> Callable[[], object]:
        """Would write over an object that is not there."""
        key = prefix + _own(NOBODY)
        return lambda: self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"", IfMatch='"0"')


@dataclass(frozen=True, slots=True)
class Rows:
    """A table of people, and changes of somebody who is not there."""

    dynamodb: Any
    table: str

    def get_nobody(self) -> None:
        self.dynamodb.get_item(TableName=self.table, Key={"name": {"S": NOBODY}})

    def update_nobody(self) -> None:
        self._change(self.dynamodb.update_item, Key={"name": {"S": NOBODY}}, UpdateExpression="REMOVE doctor")

    def delete_nobody(self) -> None:
        self._change(self.dynamodb.delete_item, Key={"name": {"S": NOBODY}})

    def put_nobody(self) -> None:
        self._change(self.dynamodb.put_item, Item={"kind": {"S": NOBODY}, "key": {"S": NOBODY}})

    def _change(self, call: Callable[..., object], **what: object) -> None:
        call(TableName=self.table, ConditionExpression="attribute_exists(doctor)", **what)

    def query_nobody(self) -> None:
        values = {":kind": {"S": NOBODY}}
        self.dynamodb.query(
            TableName=self.table, KeyConditionExpression="kind = :kind", ExpressionAttributeValues=values
        )

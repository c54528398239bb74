"""What a relay needs of an account: queues with their dead letters, and a function to call."""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

from facefleet import __version__
from facefleet.backends.aws.clients import CONNECT_TIMEOUT, READ_TIMEOUT, Lanes, config_of
from facefleet.backends.aws.faults import code_of, translated
from facefleet.backends.aws.queue import SqsQueue
from facefleet.calls import Answer, Refused, Unanswered
from facefleet.errors import BadSettings, NotFound, Unavailable
from facefleet.model import Message
from facefleet.ports import MAX_BATCH, MAX_WAIT
from facefleet.settings import Settings
from facefleet.wire import Json

#: A call that was on its way when these happened may have been made.
ON_ITS_WAY = (
    ReadTimeoutError,
    ConnectionClosedError,
    IncompleteReadError,
    ResponseStreamingError,
    ResponseParserError,
)
#: Of the event itself: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
OF_THE_EVENT = frozenset(
    {
        "InvalidRequestContentException",
        "RequestTooLargeException",
        "RequestEntityTooLargeException",
        "UnsupportedMediaTypeException",
        "413",
    }
)
#: Those of Lambda's own whose names say that the function was not reached.
NOT_CALLED = ("EC2", "EFS", "ENI", "KMS", "Invalid", "SnapStart", "Subnet")
#: Of an error that a function failed with; its payload may have 6 MB.
MOST_OF_AN_ERROR = 4096
INVOCATIONS = {"sync": "RequestResponse", "async": "Event"}


class RelayQueue(SqsQueue):
    def extend_all(self, messages: Sequence[Message], *, seconds: float) -> None:
        """Ten in one call; a lease that had ended stays so."""
        lasts = [(message.receipt, self._leases.extend(message.receipt, ceil(seconds))) for message in messages]
        due = [(receipt, seconds) for receipt, seconds in lasts if seconds is not None]
        for start in range(0, len(due), MAX_BATCH):
            entries = [
                {"Id": str(i), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
                for i, (receipt, seconds) in enumerate(due[start : start + MAX_BATCH])
            ]
            with translated(f"leases of {self.name}"):
                self._lanes.lease.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)


class LambdaFunction:
    """By name, `name:alias` or ARN. Threads may share it."""

    def __init__(self, client: Any, name: str, *, invocation: str) -> None:
        """`client`: which tries a call once, and waits long enough for its answer."""
        self._client = client
        self._name = name
        self._type = INVOCATIONS[invocation]

    def call(self, event: Json, *, call: str) -> Answer:
        """Calls it once; raises `Refused`, `Unanswered`, or another `Unavailable` where it was not called."""
        told = {} if self._type == "Event" else {"ClientContext": context_of(call)}
        with self._calling():
            answer = self._client.invoke(
                FunctionName=self._name, InvocationType=self._type, Payload=json.dumps(event).encode(), **told
            )
            payload: bytes = answer["Payload"].read()
        error = error_of(payload) if "FunctionError" in answer else None
        return Answer(answer["ResponseMetadata"].get("RequestId", ""), error)

    def ask(self) -> None:
        """Raises `Unavailable` where it is missing, or may not be called; does not call it."""
        with self._calling():
            self._client.invoke(FunctionName=self._name, InvocationType="DryRun")

    @contextmanager
    def _calling(self) -> Iterator[None]:
        what = f"calling the function {self._name}"
        try:
            with translated(what):
                yield
        except NotFound as e:
            raise Unavailable(f"{e}: deploy it, or set FACEFLEET_RELAY_FUNCTION") from e
        except Unavailable as e:
            if (cause := e.__cause__) and (error := meant(cause, what)):
                raise error from e
            raise


def meant(cause: BaseException, what: str) -> Refused | Unanswered | None:
    """What an error says of the event, or of a call on its way; None: that there was none."""
    if isinstance(cause, ON_ITS_WAY):
        return Unanswered(f"{what}: no answer ({cause}); it may be at it still")
    if not isinstance(cause, ClientError):
        return None
    code, status = code_of(cause), cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in OF_THE_EVENT:
        return Refused(f"{what}: {code}: {cause.response['Error'].get('Message', '')}"[:MOST_OF_AN_ERROR])
    if status >= 500 and not code.startswith(NOT_CALLED):
        return Unanswered(f"{what}: {code} of Lambda itself; it may be at it still")
    return None


def context_of(call: str) -> str:
    """Which a function in Python finds as `context.client_context.custom["facefleet"]["call"]`."""
    return base64.b64encode(json.dumps({"custom": {"facefleet": {"call": call}}}).encode()).decode()


def error_of(payload: bytes) -> str:
    try:
        told = json.loads(payload)
        return f"{told['errorType']}: {told['errorMessage']}"[:MOST_OF_AN_ERROR]
    except (ValueError, LookupError, TypeError):
        return payload[:MOST_OF_AN_ERROR].decode(errors="replace") or "the function says nothing of its error"


@dataclass(frozen=True)
class RelayAccount:
    """Connected; no call was made yet."""

    function: LambdaFunction
    _lanes: Lanes
    _settings: Settings

    def queue(self, where: str, *, lease: float | None = None) -> RelayQueue:
        """By its name or its address; raises `Unavailable` where there is none of that name.

        `lease`: seconds of one, as the settings have it unless given.
        """
        name, url = (where.rpartition("/")[2], where) if where.startswith("http") else (where, None)
        try:
            return RelayQueue(
                self._lanes.send,
                name,
                visibility_timeout=lease or self._settings.visibility_timeout,
                lanes=self._lanes,
                url=url,
            )
        except NotFound as e:
            raise Unavailable(f"{e}: `facefleet relay setup` makes it") from e


def check(settings: Settings) -> None:
    """Raises `BadSettings` where the settings are of one machine alone, which has no such queues."""
    if settings.backend != "aws":
        raise BadSettings(
            f"a relay works on queues of SQS, or of what speaks as SQS does, and the backend is {settings.backend}: "
            "set FACEFLEET_BACKEND=aws"
        )


def connect(settings: Settings) -> RelayAccount:
    """Makes no call; raises `BadSettings` as `check`, and where boto3 has no region, or cannot read its settings."""
    check(settings)
    # One for each that is at work, which acks and calls, and some for those who look on.
    connections = settings.relay_concurrency + 10
    try:
        session = boto3.session.Session()
        if session.region_name is None:
            raise BadSettings("AWS needs a region: set AWS_DEFAULT_REGION, as AWS_DEFAULT_REGION=us-east-1")
        config = config_of(connections)
        lanes = Lanes(
            send=session.client("sqs", config=config),
            receive=session.client("sqs", config=config_of(connections, read_timeout=MAX_WAIT + READ_TIMEOUT)),
            lease=session.client("sqs", config=config),
        )
        function = session.client("lambda", config=_config_of_calls(settings, connections))
    except BotoCoreError as e:
        raise BadSettings(f"boto3's settings cannot be used: {e}") from e
    return RelayAccount(
        LambdaFunction(function, settings.relay_function, invocation=settings.relay_invocation), lanes, settings
    )


def _config_of_calls(settings: Settings, connections: int) -> Config:
    """Tried once: what botocore tries again by itself would be a call that nobody has noted."""
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=settings.relay_timeout if settings.relay_invocation == "sync" else READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=connections,
        tcp_keepalive=True,
        user_agent_extra=f"facefleet/{__version__}",
    )

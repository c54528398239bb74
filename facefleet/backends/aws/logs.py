"""Log lines to CloudWatch, besides where they go anyway: for alarms, and to read of machines that are gone."""

import logging
import sys
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import boto3
import watchtower
from botocore.config import Config
from botocore.exceptions import ClientError

from facefleet import __version__
from facefleet.backends.aws.faults import code_of
from facefleet.backends.aws.machine import Ec2Machine
from facefleet.entry import LAST_WORDS
from facefleet.journal import program

log = logging.getLogger(__name__)

#: Seconds that a line may wait for others to go with it.
SEND_EVERY = 3
#: Lines that wait while CloudWatch does not answer; beyond that they are lost here, and stay in the journal.
MOST_WAITING = 5_000
#: Lines that are sent together, at most.
MOST_AT_ONCE = 1_000
#: Characters of a line; CloudWatch takes a megabyte, and nobody reads that.
MOST_OF_A_LINE = 10_000
#: Seconds that a process which ends waits for its last lines, twice: once to send them, once to end the sending.
PATIENCE_AT_END = 1.5
CONNECT_TIMEOUT, READ_TIMEOUT, TRIES = 2.0, 5.0, 2
#: The level comes first: filters of the log group count by it. When it was, CloudWatch knows.
FORM = "%(levelname)s %(name)s[%(process)d]: %(message)s"


def begin(group: str) -> None:
    """From now on this process's log lines go to the log group, too, in a stream of the machine's and the program's."""
    handler = GroupHandler(group, Ec2Machine().id, program(sys.argv))
    logging.getLogger().addHandler(handler)
    # What ends a process goes to stderr in words of its own.
    last_words = logging.getLogger(LAST_WORDS)
    last_words.propagate = False
    last_words.addHandler(handler)


class Line(logging.Formatter):
    """A line, or one with its traceback, no longer than somebody reads."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record)[:MOST_OF_A_LINE]


class GroupHandler(watchtower.CloudWatchLogHandler):
    """Neither waits nor raises: a thread sends what it can, and tells in the journal what it could not."""

    FLUSH_TIMEOUT = PATIENCE_AT_END  # type: ignore[assignment]  # any number of seconds will do

    def __init__(self, group: str, machine: Callable[[], str], program: str) -> None:
        self._client: Any = None
        super().__init__(
            log_group_name=group,
            log_stream_name=program,
            send_interval=SEND_EVERY,
            max_batch_count=MOST_AT_ONCE,
            create_log_group=False,
            # Its own would be made now, and a process's start would wait for it.
            boto3_client=self,
        )
        self._machine = machine
        self._lost = 0
        self.setFormatter(Line(FORM))

    def _at_fork_reinit(self) -> None:
        """Two processes must not share a connection."""
        super()._at_fork_reinit()  # type: ignore[no-untyped-call]
        self._client, self._lost = None, 0

    def emit(self, record: logging.LogRecord) -> None:
        # What the sending itself tells is not sent: that would have no end.
        if self.shutting_down or record.thread in {thread.ident for thread in self.threads}:
            return
        if any(waiting.qsize() >= MOST_WAITING for waiting in self.queues.values()):
            self._lost += 1
            return
        try:
            super().emit(record)  # type: ignore[no-untyped-call]
        except Exception:
            self.handleError(record)

    def _submit_batch(self, batch: list[dict[str, Any]], log_stream_name: str, max_retries: int = TRIES) -> None:
        """In the thread that sends; it goes on whatever happens."""
        if not batch:
            return
        try:
            # CloudWatch wants them in order.
            self._put(f"{self._machine()}/{log_stream_name}", sorted(batch, key=itemgetter("timestamp")))
        except Exception as e:
            # Whatever it is: without this thread, no line would be sent any more, and nobody told.
            if not self._lost:
                log.warning("log lines do not reach CloudWatch, and stay in the journal: %s", e)
            self._lost += len(batch)
        else:
            if self._lost:
                log.warning("log lines reach CloudWatch again; %d did not", self._lost)
                self._lost = 0

    def _put(self, stream: str, lines: list[dict[str, Any]]) -> None:
        if self._client is None:
            self._client = connect()
        where = {"logGroupName": self.log_group_name, "logStreamName": stream}
        try:
            self._client.put_log_events(**where, logEvents=lines)
        except self._client.exceptions.ResourceNotFoundException:
            self._make(where)
            self._client.put_log_events(**where, logEvents=lines)

    def _make(self, where: dict[str, str]) -> None:
        try:
            self._client.create_log_stream(**where)
        except ClientError as e:
            # By another process of this machine.
            if code_of(e) != "ResourceAlreadyExistsException":
                raise


def connect() -> Any:
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        user_agent_extra=f"facefleet/{__version__}",
    )
    return boto3.session.Session().client("logs", config=config)

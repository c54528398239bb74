"""What the function tells: a line of JSON for each record, and its metrics. Ids only: a log outlives an erasure."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import MetricUnit

from facefleet.entry import quieten
from facefleet.errors import ServiceError
from facefleet.problems import Problem
from facefleet.wire import GARBAGE
from lambda_tier.tracing import trace

SERVICE = "facefleet"
#: Not one of our modules' loggers, whose lines would be told here, too.
LOGGER = "facefleet-function"
#: Of a relay's call; anything else there is somebody's own, and none of a log's.
CALL = re.compile(r"[0-9a-f]{32}")


@dataclass
class Told:
    """What is known of a record by its end."""

    job: str = ""
    outcome: str = "done"
    failed: bool = False

    def fails(self, code: str) -> None:
        self.outcome, self.failed = code, True


class Teller:
    def __init__(self, *, level: str) -> None:
        self._logger = Logger(service=LOGGER, level=level)
        self._metrics = Metrics(namespace=SERVICE, service=SERVICE)
        self._is_cold = True

    @contextmanager
    def invocation(self, context: Any) -> Iterator[None]:
        """One call of the function; its metrics go out at the end."""
        # None is left out of a line, and takes the place of the last caller's: a process has many calls.
        self._logger.append_keys(invocation=getattr(context, "aws_request_id", ""), call=call_of(context))
        self._metrics.add_metric("ColdStart", MetricUnit.Count, int(self._is_cold))
        self._is_cold = False
        try:
            yield
        finally:
            self._metrics.flush_metrics()

    @contextmanager
    def record(self, event: str, record: str, *, job: str = "") -> Iterator[Told]:
        """One piece of work; an error that leaves it counts as a failure, and is raised on."""
        told, began, at = Told(job), time.perf_counter(), time.time()
        try:
            yield told
        except Exception as e:
            told.fails(e.code if isinstance(e, ServiceError | Problem) else "internal_error")
            raise
        finally:
            seconds = time.perf_counter() - began
            line = {"event": event, "record": record, "job": told.job, "outcome": told.outcome}
            self._logger.info("record", extra=line | {"seconds": round(seconds, 3)})
            self._metrics.add_metric("Records", MetricUnit.Count, 1)
            self._metrics.add_metric("Failures", MetricUnit.Count, int(told.failed))
            trace("record", at, at + seconds, line, failed=told.failed)


def call_of(context: Any) -> str | None:
    """What a relay's spool knows this call by; None of anybody else's, whatever they send there."""
    try:
        call = context.client_context.custom["facefleet"]["call"]
    except GARBAGE:
        return None
    return call if isinstance(call, str) and CALL.fullmatch(call) else None


class _Line(LambdaPowertoolsFormatter):
    """Ended here, for the runtime's handler does not end it: metrics that come behind have to begin a line."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)}\n"


def tell_as_json(level: str) -> None:
    """Has what our modules and libraries log from this level on, by the runtime's own handler, be JSON, too."""
    logging.getLogger().setLevel(level)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Line(service=SERVICE))
    quieten()

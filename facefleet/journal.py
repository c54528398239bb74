"""Log records as entries of systemd's journal, with fields to ask for: `journalctl JOB_ID=…`."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from logging_journald import JournaldTransport, check_journal_stream

#: syslog(3): what `journalctl -p warning` looks at.
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
DEBUG = 7
#: A line that begins with one of these words is about the thing that follows it.
SUBJECTS = {"job %s": "JOB_ID", "instance %s": "INSTANCE_ID"}


def reads_stderr() -> bool:
    """Whether what we write to stderr ends in the journal: as a unit of systemd's, and only redirected by it."""
    return bool(check_journal_stream())


class JournalHandler(logging.Handler):
    """Without a journal at `socket`, raises `OSError` when made."""

    def __init__(self, socket: Path = JournaldTransport.SOCKET_PATH) -> None:
        super().__init__()
        self._transport = JournaldTransport(socket)
        self._program = program(sys.argv)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._transport.send([("SYSLOG_IDENTIFIER", self._program), *fields(record, self.format(record))])
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        self._transport.socket.close()
        super().close()


def fields(record: logging.LogRecord, text: str) -> Iterator[tuple[str, Any]]:
    """Those of systemd.journal-fields(7), and ours; `text` is the line, with its traceback if there is one."""
    yield "MESSAGE", text
    yield "PRIORITY", next((priority for level, priority in PRIORITIES if record.levelno >= level), DEBUG)
    yield "LOGGER", record.name
    yield "CODE_FILE", record.pathname
    yield "CODE_LINE", record.lineno
    yield "CODE_FUNC", record.funcName
    yield "THREAD", record.threadName
    for subject, field in SUBJECTS.items():
        if isinstance(record.args, tuple) and record.args and str(record.msg).startswith(subject):
            yield field, str(record.args[0])


def program(argv: list[str]) -> str:
    """What was started, as `python -m app_tier` is `app_tier`."""
    path = Path(argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name

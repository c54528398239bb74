"""`python -m web_tier`: the app under gunicorn, with a thread for each upload that may wait and some to spare."""

import logging
import resource
import socket
import struct
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from math import ceil, inf
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from facefleet import supervision
from facefleet.backends import connect, log_besides
from facefleet.entry import entry_point, refuse_taken_port
from facefleet.settings import Settings
from web_tier.app import create_app
from web_tier.router import ReplyRouter

#: Threads that uploads never take: for health checks, the page, the fleet's numbers.
SPARE_THREADS = 32
#: Connections that are accepted beyond those, to be told that we are full.
SPARE_CONNECTIONS = 1000
#: Seconds that a client may pause within its header, before its thread is needed for others.
HEADER_TIMEOUT = 10
#: Connections that wait to be accepted; Linux takes 4096 at most.
LISTEN_BACKLOG = 2048
#: Seconds without a sign of its loop after which gunicorn ends a process of its own: above what one needs to start
#: where AWS answers late. Threads that wait for slow clients do not hold its loop up, however many they are.
SILENT = 150
#: How often it is looked whether gunicorn still sees to that.
LOOK_EVERY = 10.0


class PlainLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's lines go where all others go, in the same form."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with our settings; each of its processes connects for itself, after the fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = ExitStack()
        super().__init__()

    def load_config(self) -> None:
        for name, value in gunicorn_settings(self._settings).items():
            self.cfg.set(name, value)
        self.cfg.set("when_ready", when_ready)
        self.cfg.set("worker_exit", lambda server, worker: self._open.close())

    def load(self) -> Flask:
        logging.getLogger("gunicorn.error").addFilter(is_news)
        backend = connect(self._settings)
        router = ReplyRouter(self._open.enter_context(backend.open_replies()), backend.blobs)
        self._open.enter_context(router.running())
        return create_app(backend, router, self._settings)


def is_news(record: logging.LogRecord) -> bool:
    """A client that paused too long in its header is none; gunicorn would tell it with a traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


def when_ready(arbiter: Any) -> None:
    bound_headers(arbiter)
    threading.Thread(target=watch, args=(arbiter,), name="watch", daemon=True).start()


def watch(arbiter: Any) -> None:
    """For good: tells systemd whenever gunicorn gets on. gunicorn itself tells that it listens."""
    while True:
        time.sleep(LOOK_EVERY)
        if gets_on(list(arbiter.WORKERS.values())):
            supervision.alive()


def gets_on(processes: Sequence[Any]) -> bool:
    """Whether gunicorn has processes, and none that it should have ended.

    A full one is not a hung one: to ask the app over the network would end a thousand uploads that wait.
    """
    return bool(processes) and all(silent_for(process) <= SILENT for process in processes)


def silent_for(process: Any) -> float:
    """Seconds since its loop gave a sign; less than none as long as it starts, and of one just ended."""
    try:
        return float(time.monotonic() - process.tmp.last_update())
    except (OSError, ValueError):
        # gunicorn has closed its file.
        return -inf


def bound_headers(arbiter: Any) -> None:
    """gunicorn's threads read a header without any time-out; connections inherit this one from their listener."""
    for listener in arbiter.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", HEADER_TIMEOUT, 0))


def gunicorn_settings(settings: Settings) -> dict[str, Any]:
    threads = settings.max_uploads + SPARE_THREADS
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": f"{host}:{settings.port}",
        "workers": settings.web_processes,
        "worker_class": "gthread",
        "threads": threads,
        "worker_connections": threads + SPARE_CONNECTIONS,
        "backlog": LISTEN_BACKLOG,
        "timeout": SILENT,
        "graceful_timeout": ceil(settings.drain_timeout),
        "loglevel": "warning",
        "logger_class": PlainLogger,
        "proc_name": "facefleet-web",
        # Settings are the environment's; nobody steers a process that runs.
        "control_socket_disable": True,
    }


@entry_point
def main(settings: Settings) -> None:
    log_besides(settings)
    refuse_taken_port(settings)
    # A thousand uploads are more than the thousand files that most systems allow at first.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Server(settings).run()


if __name__ == "__main__":
    main()

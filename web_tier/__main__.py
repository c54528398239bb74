"""`python -m web_tier`: the app under gunicorn, with a thread for each upload that may wait and some to spare."""

import logging
import resource
import socket
import struct
import threading
import time
from contextlib import ExitStack
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from math import ceil
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from facefleet import supervision
from facefleet.backends import connect
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
#: How often the app is asked whether it is alive, and how long it may take to say so.
LOOK_EVERY, LOOK_TIMEOUT = 10.0, 10.0


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
    address = arbiter.LISTENERS[0].sock.getsockname()[:2]
    threading.Thread(target=watch, args=(address,), name="watch", daemon=True).start()


def watch(address: tuple[str, int]) -> None:
    """For as long as this process lives: tells systemd whenever the app answers. gunicorn tells that it listens."""
    while True:
        time.sleep(LOOK_EVERY)
        if answers(*address):
            supervision.alive()


def answers(host: str, port: int) -> bool:
    """Whether the app, asked as any client, says that it is alive. Of all addresses, as 0.0.0.0, it asks loopback."""
    connection = HTTPConnection(host, port, timeout=LOOK_TIMEOUT)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


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
        "graceful_timeout": ceil(settings.drain_timeout),
        "loglevel": "warning",
        "logger_class": PlainLogger,
        "proc_name": "facefleet-web",
        # Settings are the environment's; nobody steers a process that runs.
        "control_socket_disable": True,
    }


@entry_point
def main(settings: Settings) -> None:
    refuse_taken_port(settings)
    # A thousand uploads are more than the thousand files that most systems allow at first.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Server(settings).run()


if __name__ == "__main__":
    main()

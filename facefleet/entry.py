"""How every process begins: settings read once, log lines of one form, errors without a traceback."""

import ctypes
import faulthandler
import logging
import os
import socket
import sys
from collections.abc import Callable
from functools import wraps

from facefleet.errors import AlreadyRunning, BadSettings, ServiceError
from facefleet.settings import Settings

EXIT_FAILED = 1
#: sysexits.h, EX_CONFIG: the same again will fail again, so a supervisor need not try.
EXIT_UNUSABLE = 78
#: A logger of what ended a process, for those who do not read stderr; without a handler of its own, silent.
LAST_WORDS = "facefleet.last_words"
#: mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX.
MALLOC = ((-3, 32 << 20), (-1, 64 << 20), (-8, 1))


def entry_point(main: Callable[[Settings], None]) -> Callable[[], None]:
    """Runs `main` with the settings; an error that we know goes to stderr in a line, with its exit code."""

    @wraps(main)
    def run() -> None:
        try:
            settings = Settings.from_env(os.environ)
            log_to(settings.log_level)
            # On SIGABRT, which is how a watchdog ends a process that hangs, each thread says where.
            faulthandler.enable()
            keep_memory()
            main(settings)
        except ServiceError as e:
            sys.stderr.write(f"facefleet: {e}\n")
            say_last(e)
            sys.exit(exit_code(e))
        except Exception as e:
            # A fault of ours: Python writes its traceback to stderr.
            say_last(e, traceback=True)
            raise

    return run


def say_last(error: Exception, *, traceback: bool = False) -> None:
    if (last_words := logging.getLogger(LAST_WORDS)).handlers:
        last_words.critical("%s", error, exc_info=error if traceback else None)


def keep_memory() -> None:
    """Has glibc keep what is freed: to give an image's memory back and fetch it again for the next takes up to 4 ms.

    Elsewhere, nothing. All threads share one arena, so that what is kept is kept once, up to 64 MB at its end.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in MALLOC:
            mallopt(parameter, value)


def log_to(level: str) -> None:
    """To the journal, where that reads our stderr anyway, with time and level as its fields; else to stderr."""
    # Here, since a function, which begins otherwise, has neither a journal nor the library for it.
    from facefleet import journal

    if journal.reads_stderr():
        logging.basicConfig(level=level, format="%(message)s", handlers=[journal.JournalHandler()])
    else:
        logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    quieten()


def quieten() -> None:
    # What Pillow tells of a photo is where and by whom it was taken.
    logging.getLogger("PIL").setLevel(logging.INFO)
    # At DEBUG these tell all that goes to a cloud and comes from there: images, encodings, keys, servers' user data.
    for library in ("boto3", "botocore", "s3transfer", "urllib3", "keystoneauth", "openstack"):
        logging.getLogger(library).setLevel(logging.INFO)
    # It warns of each connection beyond those that are kept: a burst makes hundreds, and nothing is wrong.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    # APScheduler tells each tick, twice.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    # A worker that ends in the middle of a tick asks for another at once, which does no harm.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)


def exit_code(error: ServiceError) -> int:
    return EXIT_UNUSABLE if isinstance(error, BadSettings) else EXIT_FAILED


def refuse_taken_port(settings: Settings) -> None:
    """Raises `AlreadyRunning`; gunicorn itself would try for five seconds, and then not say what to do."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as e:
            raise AlreadyRunning(
                f"port {settings.port} on {settings.host} cannot be had ({e.strerror}): "
                "stop what uses it, or set FACEFLEET_PORT to another"
            ) from e

"""How every process begins: settings read once, log lines of one form, errors without a traceback."""

import logging
import os
import sys
from collections.abc import Callable
from functools import wraps

from facefleet.errors import ServiceError
from facefleet.settings import Settings

#: sysexits.h, EX_CONFIG: the same again will fail again, so a supervisor need not try.
EXIT_UNUSABLE = 78


def entry_point(main: Callable[[Settings], None]) -> Callable[[], None]:
    """Runs `main` with the settings; what we know to say about an error goes to stderr, with exit code 78."""

    @wraps(main)
    def run() -> None:
        try:
            settings = Settings.from_env(os.environ)
            log_to_stderr(settings.log_level)
            main(settings)
        except ServiceError as e:
            sys.exit(_fail(e))

    return run


def log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # What Pillow tells of a photo is where and by whom it was taken.
    logging.getLogger("PIL").setLevel(logging.INFO)
    # APScheduler tells each tick, twice.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)


def _fail(error: ServiceError) -> int:
    sys.stderr.write(f"facefleet: {error}\n")
    return EXIT_UNUSABLE

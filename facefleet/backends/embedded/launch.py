"""Run as a script: records its own process, then becomes the command.

    python -I -S launch.py RECORD COMMAND…

So the record is always the child's: a controller killed right after launching leaves no process that nobody knows.
Standard library only, and little of it: this runs before every worker.
"""

import json
import os
import sys
import time


def main(record: str, command: list[str]) -> None:
    making = f"{record}.new"
    with open(making, "w") as file:  # noqa: PTH123  # pathlib would double the time that this takes
        json.dump({"pid": os.getpid(), "launched_at": time.time()}, file)
    os.rename(making, record)  # noqa: PTH104  # as above
    os.execv(command[0], command)  # noqa: S606  # our own command, and no shell


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

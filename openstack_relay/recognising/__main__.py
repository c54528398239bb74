"""`python -m openstack_relay.recognising`: started by the relay, one on each core. Ends when its input does."""

import os
import signal
import sys

from facefleet.backends.aws import function
from facefleet.entry import entry_point
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.processor import Processor
from facefleet.recognition.recogniser import open_recogniser
from facefleet.settings import Settings
from openstack_relay.recognising import lines
from openstack_relay.recognising.loop import run
from openstack_relay.recognising.work import Work

STDIN, STDOUT, STDERR = 0, 1, 2


@entry_point
def main(settings: Settings) -> None:
    # Systemd and Ctrl-C tell the whole group; the relay has the object in hand finished, and then closes our input.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    told = os.fdopen(os.dup(STDOUT), "wb")
    # Whatever a library prints must not stand between answers.
    os.dup2(STDERR, STDOUT)
    account = function.connect(settings)
    keeper = Keeper(account.people, account.blobs)
    keeper.refresh()
    process = Processor(open_recogniser(settings, keeper), account.people, account.blobs)
    told.write(lines.READY)
    told.flush()
    run(Work(process, account.blobs, account.objects, settings), keeper.tidy, STDIN, told)


if __name__ == "__main__":
    sys.exit(main())

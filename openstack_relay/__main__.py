"""`python -m openstack_relay`: the relay. SIGTERM has it receive no more and finish what is in hand, then it exits."""

import argparse
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path

from facefleet import answers, supervision
from facefleet.backends import log_besides
from facefleet.backends.aws.relay import RelayAccount, check, connect
from facefleet.entry import entry_point
from facefleet.errors import Unavailable
from facefleet.lock import only_one
from facefleet.settings import Settings
from openstack_relay.bringing import Bringing
from openstack_relay.by_function import ByFunction
from openstack_relay.doing import Way
from openstack_relay.events import Events
from openstack_relay.home import Home
from openstack_relay.intake import Intake
from openstack_relay.places import dead_letters_of, output_of
from openstack_relay.relay import Relay
from openstack_relay.spool import FILE, Spool

#: Results that are written at the same time.
WRITERS = 4
DAY = 24 * 3600.0

OpenWay = Callable[[Settings, Spool, Home], AbstractContextManager[Way]]


@entry_point
def main(settings: Settings) -> None:
    log_besides(settings)
    argparse.ArgumentParser(
        prog="openstack_relay", description="Has recognised what came, brings results home."
    ).parse_args()
    check(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as opened:
        opened.enter_context(alone_on(settings.data))
        spool = opened.enter_context(closing(Spool(settings.data / FILE)))
        home = Home(settings.relay_folder)
        home.tidy()
        way = opened.enter_context(WAYS[settings.relay_by](settings, spool, home))
        relay = Relay(
            spool,
            intakes_of(connect(settings), settings, spool, home, way),
            timeout=settings.relay_timeout,
            keep=settings.keep_days * DAY,
        )
        supervision.ready()
        relay.run(stop)


def alone_on(data: Path) -> AbstractContextManager[None]:
    """Makes the folder; raises `Unavailable` where it cannot be written, later `AlreadyRunning`."""
    lock = data / "relay.lock"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.touch()
    except OSError as e:
        raise Unavailable(f"{data} cannot be written ({e.strerror}): chown it, or set FACEFLEET_DATA") from e
    return only_one(lock, "relay")


def intakes_of(account: RelayAccount, settings: Settings, spool: Spool, home: Home, way: Way) -> Mapping[str, Intake]:
    """What is received from; raises `Unavailable` where a queue is not there."""
    arrivals, lease = account.queue(settings.relay_input), settings.visibility_timeout
    dead = cache(lambda: account.queue(dead_letters_of(settings.relay_input)))
    events = Events(arrivals, dead, spool, way, tries=settings.relay_tries, timeout=settings.relay_timeout)
    if settings.relay_by != "function":
        # Who does it here brings it home at once: without room there, nothing is to begin.
        ask = all_of(spool.ask, home.ask, way.ask)
        return {"input": Intake(arrivals, events, most=at_once(settings), lease=lease, ask=ask)}
    results = account.queue(output_of(settings))
    no_results = cache(lambda: account.queue(dead_letters_of(output_of(settings))))
    bringing = Bringing(results, no_results, spool, home, columns=answers.columns_of(settings.columns))
    return {
        "input": Intake(arrivals, events, most=settings.relay_concurrency, lease=lease, ask=all_of(spool.ask, way.ask)),
        "output": Intake(results, bringing, most=WRITERS, lease=lease, ask=bringing.ask),
    }


def at_once(settings: Settings) -> int:
    """Events in hand, of those that no function does: for each core one at work and one that waits for it.

    More would only be kept from another relay. With a fleet all of them wait.
    """
    from openstack_relay.hands import cores

    most = settings.relay_concurrency
    return min(most, 2 * cores()) if settings.relay_by == "itself" else most


def all_of(*asked: Callable[[], None]) -> Callable[[], None]:
    def ask() -> None:
        for one in asked:
            one()

    return ask


@contextmanager
def by_function(settings: Settings, spool: Spool, home: Home) -> Iterator[Way]:
    yield ByFunction(connect(settings).function, spool, hands_over=settings.relay_invocation == "async")


@contextmanager
def by_fleet(settings: Settings, spool: Spool, home: Home) -> Iterator[Way]:
    from facefleet.backends.aws.relaying import doors
    from openstack_relay.by_fleet import ByFleet
    from openstack_relay.replies import Replies

    with doors(settings) as to:
        way = ByFleet(to.requests, Replies(to.replies, to.blobs), to.blobs, to.objects, home, settings)
        with way.running():
            yield way


@contextmanager
def by_itself(settings: Settings, spool: Spool, home: Home) -> Iterator[Way]:
    from facefleet.backends.aws import function
    from openstack_relay.by_itself import ByItself
    from openstack_relay.hands import Hands, cores

    hands = Hands(min(cores(), settings.relay_concurrency), settings.relay_timeout)
    with ByItself(hands, home, settings, ask=function.connect(settings).people.version).running() as way:
        yield way


#: How each way is opened; what one needs, another need not import.
WAYS: Mapping[str, OpenWay] = {"function": by_function, "fleet": by_fleet, "itself": by_itself}


if __name__ == "__main__":
    main()

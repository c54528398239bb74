"""What goes on beside a test, in a thread of its own, as long as a block lasts."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from facefleet import keys
from facefleet.model import BlobInfo
from facefleet.ports import Blobs

#: Seconds until it has ended. Reached only where something is broken.
PATIENCE = 60.0
#: Seconds between two looks at a bucket.
LOOK = 0.05


@contextmanager
def repeatedly(act: Callable[[], object], *, every: float) -> Iterator[None]:
    """Does this so often."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(every):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "it hangs"


@contextmanager
def for_each_new(blobs: Blobs, act: Callable[[BlobInfo], object]) -> Iterator[None]:
    """Does this with each blob that comes into the input bucket, once."""
    known = {info.key for info in blobs.list(keys.INPUT)}

    def look() -> None:
        for info in [one for one in blobs.list(keys.INPUT) if one.key not in known]:
            known.add(info.key)
            act(info)

    with repeatedly(look, every=LOOK):
        yield

"""Memory for files under way: counted in bytes, so that many short clips have room where few long ones have."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from web_tier.problems import busy


class Room:
    """So many bytes that requests may hold together."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._changing = threading.Lock()

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Has room for so many bytes, or raises the problem 503."""
        with self._changing:
            if size > self._free:
                raise busy("too_many_clips", "too many clips are under way already: try again soon")
            self._free -= size
        try:
            yield
        finally:
            with self._changing:
                self._free += size

"""A bound on the memory that a part of the work may take, for libraries that believe what a file says of itself."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Of Linux, for this process; the first number is the size of its address space, in pages: proc(5).
SIZES = Path("/proc/self/statm")


@contextmanager
def at_most(more: int) -> Iterator[None]:
    """In here what takes so many bytes more than there are taken now fails, as `MemoryError` or by a library's word.

    That holds for all threads: to be entered for short calls.
    """
    taken = int(SIZES.read_text().split()[0]) * resource.getpagesize()
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = min(bound for bound in (taken + more, before, most) if bound != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))

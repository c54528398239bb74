"""A blob that is changed only as it was read: of several who try, one succeeds, and the others know it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from facefleet.errors import Conflict, NotFound
from facefleet.ports import Blobs

from .conftest import Elsewhere

KEY = "state/count"
COUNT_TO = 60

#: Adds one until there are enough, and says how many of them are its own.
COUNT = """
from facefleet.errors import Conflict
own = 0
while True:
    data, tag = backend.blobs.tagged("state/count")
    if int(data) >= 60:
        break
    try:
        backend.blobs.put_if("state/count", str(int(data) + 1).encode(), tag=tag)
        own += 1
    except Conflict:
        continue
print(own)
"""


def test_what_is_not_there_has_no_tag(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        blobs.tagged(KEY)


def test_it_is_changed_by_whoever_saw_it_last(blobs: Blobs) -> None:
    first = blobs.put_if(KEY, b"1", tag=None)
    assert blobs.tagged(KEY) == (b"1", first)
    second = blobs.put_if(KEY, b"2", tag=first)
    assert blobs.tagged(KEY) == (b"2", second)


@pytest.mark.parametrize("tag", [None, "nonsense", ""])
def test_it_is_left_alone_by_whoever_saw_something_else(blobs: Blobs, tag: str | None) -> None:
    blobs.put(KEY, b"there")
    with pytest.raises(Conflict):
        blobs.put_if(KEY, b"mine", tag=tag)
    assert blobs.get(KEY) == b"there"


def test_it_is_not_made_anew_by_whoever_saw_what_is_gone(blobs: Blobs) -> None:
    tag = blobs.put_if(KEY, b"1", tag=None)
    blobs.delete(KEY)
    with pytest.raises(Conflict):
        blobs.put_if(KEY, b"2", tag=tag)


def test_a_plain_put_counts_as_a_change_too(blobs: Blobs) -> None:
    tag = blobs.put_if(KEY, b"1", tag=None)
    blobs.put(KEY, b"2")
    with pytest.raises(Conflict):
        blobs.put_if(KEY, b"3", tag=tag)


def test_of_many_threads_that_make_it_one_does(blobs: Blobs) -> None:
    def make(i: int) -> bool:
        try:
            blobs.put_if(KEY, str(i).encode(), tag=None)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))
    assert made.count(True) == 1
    assert int(blobs.get(KEY)) == made.index(True)


def test_two_processes_that_count_miss_nothing(blobs: Blobs, elsewhere: Elsewhere) -> None:
    blobs.put(KEY, b"0")
    counters = [elsewhere(COUNT) for _ in range(2)]
    assert sum(int(counter.communicate()[0]) for counter in counters) == COUNT_TO
    assert int(blobs.get(KEY)) == COUNT_TO

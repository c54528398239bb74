"""The log of people: what it tells is enough, or it says that it is not."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from facefleet.backends.aws.dynamo import longest_pause
from facefleet.backends.aws.people_items import Entry, news

LOGS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12).map(
    lambda steps: [Entry(version, 0.0, removed, id) for version, (id, removed) in enumerate(steps, 1)]
)


def known(log: Iterable[Entry]) -> dict[str | None, int]:
    """Who is there, and since which version as they are."""
    people: dict[str | None, int] = {}
    for entry in log:
        people.pop(entry.person_id, None)
        if not entry.removed:
            people[entry.person_id] = entry.version
    return people


@given(log=LOGS, since=st.integers(0, 12))
def test_who_follows_the_log_knows_who_is_there(log: list[Entry], since: int) -> None:
    since = min(since, len(log))
    told = news(log[since:], since)
    assert told is not None
    people = {id: version for id, version in known(log[:since]).items() if id not in told.removed}
    assert (people | told.changed, told.version) == (known(log), len(log))
    assert list(told.changed.values()) == sorted(told.changed.values())
    assert all(entry.version > since for entry in log if entry.version in told.changed.values())


@given(log=LOGS.filter(bool), data=st.data())
def test_a_log_with_something_missing_tells_nothing(log: list[Entry], data: st.DataObject) -> None:
    lost = data.draw(st.integers(1, len(log)))
    since = data.draw(st.integers(0, lost - 1))
    # All but the newest may be missing, and of that one its name.
    rest = [entry for entry in log if entry.version != lost]
    unnamed = [entry if entry.version != lost else Entry(lost, 0.0, True, None) for entry in log]
    assert news(unnamed, since) is None
    assert lost == len(log) or news(rest, since) is None


def test_pauses_become_longer_and_no_longer_than_a_second() -> None:
    pauses = [longest_pause(number) for number in range(10_000)]
    assert pauses == sorted(pauses)
    assert 0 < pauses[0] < pauses[-1] < 1

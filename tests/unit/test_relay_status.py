"""What is told of a relay, from its spool and its queues."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from relays import told_of

from facefleet.errors import NotFound, Unavailable
from facefleet.model import Depth
from facefleet.ports import Queue
from openstack_relay import letters, relay
from openstack_relay.doing import Fate
from openstack_relay.incoming import read
from openstack_relay.spool import Spool
from openstack_relay.status import as_json, depth_of, lines, spooled

QUEUES: dict[str, Depth | str] = {"input": Depth(3, 1), "input dead": "there is none: make it"}


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Of a relay that has done one, failed in one, waits with one, and is at one more."""
    now = [1000.0]
    file = tmp_path / "relay.db"
    spool = Spool(file, clock=lambda: now[0])
    for n, fate in enumerate((Fate.DONE, Fate.FAILED, None, None)):
        event = read(told_of(f"{n}.mp4"))
        assert event is not None
        delivery, _ = spool.received(event, sent_at=900.0 + n)
        call = spool.call_begins(event.identity)
        if fate is not None:
            spool.call_ended(call, fate)
            spool.ended(delivery, event, fate)
        elif n == 2:
            spool.call_ended(call, "throttled")
            spool.waits(delivery, event, tries=0, why="throttled")
    spool.set_aside("bad_message")
    spool.brought("0.txt", sent_at=1.0)
    told = {"process": {"pid": 7, "since": 1.0}, "pauses": {"output": "no room"}, "in hand": {"input": 1}}
    spool.beats(json.dumps(told))
    yield file
    spool.close()


def test_the_counts_add_up(file: Path) -> None:
    told = as_json(spooled(file), QUEUES, now=1001.0)
    assert told["received"] == 4
    assert (told["done"], told["failed"], told["waiting"], told["at_work"]) == (1, 1, 1, 1)
    assert told["calls"] == {"all": 4, "done": 1, "failed": 1, "throttled": 1, "under way": 1}
    assert (told["results"], told["aside"]) == (1, {"bad_message": 1})
    assert told["oldest"] == 99.0
    assert told["pauses"] == {"output": "no room"} and told["runs"]


def test_a_relay_that_is_silent_does_not_run_and_waits_for_nothing(file: Path) -> None:
    told = as_json(spooled(file), QUEUES, now=1000.0 + relay.STALE + 1)
    assert not told["runs"] and told["process"] is None and told["pauses"] == {}


def test_people_are_told_the_same_in_lines(file: Path) -> None:
    shown = dict(lines(as_json(spooled(file), QUEUES, now=1001.0)))
    assert shown["events"] == "4 received, 1 done, 1 failed, 1 waiting, 1 at work; the oldest since 99.0 s"
    assert shown["output waits"] == "no room"
    assert (shown["input"], shown["input dead"]) == ("3 visible, 1 in flight", "there is none: make it")
    assert "process 7" in shown["relay"]


def test_where_no_relay_has_run_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="FACEFLEET_DATA"):
        spooled(tmp_path / "relay.db")


def test_a_spool_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "relay.db").write_bytes(b"x" * 5000)
    with pytest.raises(Unavailable, match="cannot be read"):
        spooled(tmp_path / "relay.db")


def test_a_queue_that_does_not_answer_hides_nothing_else() -> None:
    def away() -> Queue:
        raise Unavailable("away")

    assert depth_of(away) == "away"


def test_systemd_is_told_what_each_loop_does() -> None:
    assert (
        relay.in_words({"output": "no room"}, {"input": 3, "output": 0}) == "input: 3 in hand; output: waits: no room"
    )


@pytest.mark.parametrize(
    ("letter", "again", "why"),
    [
        ("as SQS moved it", "as SQS moved it", "received too often"),
        (json.dumps({"a": 1}), json.dumps({"a": 1}), "received too often"),
        (letters.of_message("bad", Unavailable("why")), "bad", "unavailable: why"),
    ],
)
def test_a_dead_letter_says_what_is_to_be_sent_again_and_why(letter: str, again: str, why: str) -> None:
    assert (letters.again(letter), letters.reason_of(letter)) == (again, why)


def test_a_letter_of_the_longest_message_fits_a_queue() -> None:
    assert len(letters.of_message("\x01" * 1_000_000, Unavailable("x" * 1000))) < 262_144

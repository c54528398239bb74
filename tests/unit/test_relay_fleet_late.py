"""A relay whose fleet is late, full or gone, or whose jobs and replies get lost."""

from pathlib import Path

import pytest
from awake import RED, keys_of, picture
from fleet_relays import LINE, Here, asked

from bench.local import awaited
from facefleet import keys, wire
from facefleet.errors import NotFound, Unavailable
from facefleet.model import Depth
from facefleet.ports import Queue
from openstack_relay.by_fleet import ByFleet
from openstack_relay.doing import Failed, Fate, Outcome
from openstack_relay.home import Home
from openstack_relay.replies import Replies


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def test_a_relay_that_was_killed_sends_the_same_job_which_is_done_once(here: Here) -> None:
    what = here.lies("test_0.mp4")
    with here.relay() as killed, pytest.raises(Unavailable):
        # As far as another can see: its job waits, and nobody waits for the reply.
        killed(what)
    with here.relay() as way, asked(way, what) as outcome:
        awaited(lambda: len(here.waiting()) == 2, "the same job is sent again", seconds=30)
        with here.at_work() as done:
            assert outcome() == Outcome(Fate.DONE)
            awaited(lambda: len(done) == 2, "both messages are taken", seconds=30)
    assert len({job.id for job in done}) == 1 and all(job.again for job in done)
    assert here.files() == {"test_0.txt": LINE}


def test_a_result_whose_reply_is_lost_is_found_where_it_is_stored(here: Here) -> None:
    with here.relay() as way, here.at_work(answers_home=False):
        assert way(here.lies("test_0.mp4")) == Outcome(Fate.DONE)


def test_a_fleet_that_takes_long_is_nobody_s_failure_and_its_job_is_not_sent_twice(tmp_path: Path) -> None:
    here = Here(tmp_path, relay_timeout=1.0)
    what = here.lies("test_0.mp4")
    with here.relay() as way:
        for _ in range(2):
            with pytest.raises(Unavailable) as raised:
                way(what)
            assert not isinstance(raised.value, Failed)
        assert len(here.waiting()) == 1
        with here.at_work():
            assert way(what) == Outcome(Fate.DONE)


def test_a_job_that_was_lost_counts_as_a_failure_and_is_sent_again(tmp_path: Path) -> None:
    here = Here(tmp_path, relay_timeout=1.0)
    what = here.lies("test_0.mp4")
    with here.relay() as way:
        with asked(way, what) as outcome:
            awaited(here.waiting, "it is sent", seconds=30)
            here.backend.requests.purge()
            with pytest.raises(Failed, match="dead letters"):
                outcome()
        with here.at_work():
            assert way(what) == Outcome(Fate.DONE)


def test_a_job_that_later_ones_have_overtaken_counts_as_lost_however_many_wait(tmp_path: Path) -> None:
    here = Here(tmp_path, relay_timeout=1.0)
    first, later = here.lies("lost.jpg", picture(RED)), here.lies("later.jpg", picture(RED))
    with here.relay() as way:
        with asked(way, first) as outcome:
            awaited(here.waiting, "it is sent", seconds=30)
            here.backend.requests.purge()
            here.backend.requests.send("somebody else's")
            with pytest.raises(Unavailable) as raised:
                outcome()
            assert not isinstance(raised.value, Failed)
        for message in here.backend.requests.receive():
            here.backend.requests.ack(message)
        with here.at_work():
            way(later)
        here.backend.requests.send("somebody else's")
        with pytest.raises(Failed):
            way(first)


def test_no_more_jobs_are_sent_than_the_backlog_may_have(tmp_path: Path) -> None:
    here = Here(tmp_path, max_backlog=1, relay_timeout=1.0)
    with here.relay() as way:
        way.ask()
        with pytest.raises(Unavailable):
            way(here.lies("a.mp4"))
        with pytest.raises(Unavailable, match="wait for workers") as raised:
            way(here.lies("b.mp4"))
        assert not isinstance(raised.value, Failed)
        with pytest.raises(Unavailable):
            way.ask()
    assert [job.filename for job in here.waiting()] == ["a.mp4"]


def test_what_finds_no_room_in_the_backlog_is_not_copied_either(tmp_path: Path) -> None:
    here = Here(tmp_path, max_backlog=1)
    here.backend.requests.send("somebody else's")
    what = here.lies("a.mp4", bucket="another")
    with here.relay() as way, pytest.raises(Unavailable, match="wait for workers"):
        way(what)
    assert keys_of(here.backend.blobs, "in/") == []


class Gone(Queue):
    """As SQS says of a queue that was deleted."""

    name = "requests"

    def __init__(self, *, counts: bool) -> None:
        self._counts = counts

    def send(self, body: str) -> None:
        raise NotFound("sending to requests: there is no such queue")

    def depth(self) -> Depth:
        if self._counts:
            return Depth(0, 0)
        raise NotFound("looking at requests: there is no such queue")


@pytest.mark.parametrize("counts", [True, False], ids=["when it is sent to", "when it is looked at"])
def test_a_request_queue_that_is_gone_is_an_outage_and_no_object_that_is_gone(here: Here, counts: bool) -> None:
    what = here.lies("a.mp4")
    with here.backend.open_replies() as queue:
        replies, home = Replies(queue, here.backend.blobs), Home(here.home)
        way = ByFleet(Gone(counts=counts), replies, here.backend.blobs, here.objects, home, here.settings)
        with pytest.raises(Unavailable, match="facefleet setup") as raised:
            way(what)
    assert not isinstance(raised.value, Failed)


def test_whoever_is_nobody_s_reply_is_dropped_and_the_rest_go_on(here: Here) -> None:
    with here.backend.open_replies() as queue:
        replies = Replies(queue, here.backend.blobs)
        with replies.running(), replies.expecting("a" * 32) as future:
            queue.send("not ours")
            queue.send(wire.dump_reply("b" * 32, {"id": "b" * 32}))
            queue.send(wire.dump_reply("a" * 32, {"id": "a" * 32}))
            assert replies.result("a" * 32, future, timeout=30.0) == {"id": "a" * 32}


def test_what_is_stored_of_before_is_no_answer_to_what_is_to_be_done_anew(here: Here) -> None:
    here.backend.blobs.put(keys.result("a" * 32), b'{"id": "stored"}')
    with here.backend.open_replies() as queue:
        replies = Replies(queue, here.backend.blobs)
        with replies.expecting("a" * 32) as future:
            assert replies.result("a" * 32, future, timeout=2.5, looks=False) is None
            assert replies.result("a" * 32, future, timeout=2.5) == {"id": "stored"}


def test_the_reply_queue_goes_with_the_relay(here: Here) -> None:
    with here.backend.open_replies() as queue:
        name = queue.name
    with pytest.raises(NotFound):
        here.backend.replies(name).send("x")

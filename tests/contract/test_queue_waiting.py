"""A receiver that waits: woken at once, never late, never for nothing, and it goes when it is told to."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from facefleet.model import Message
from facefleet.ports import Queue

from .conftest import Elsewhere, OpenBackend, Watched

PATIENCE = 30.0
#: Well below the second after which a sleeper looks by itself.
AT_ONCE = 0.6

#: SQS tells of a message by handing it out, and of nothing before: `test_aws_queue.py`.
where_a_queue_tells = pytest.mark.parametrize("settings", ["embedded"], indirect=True)

ECHO = """
back = connect(replace(settings, request_queue="back")).requests
while True:
    for message in backend.requests.receive(wait=30.0):
        back.send(message.body)
        backend.requests.ack(message)
"""


def test_waiting_for_nothing_takes_the_time_asked_for(queue: Queue) -> None:
    started = time.monotonic()
    assert queue.receive(wait=0.3) == []
    assert 0.3 <= time.monotonic() - started < 5


def test_not_waiting_takes_no_time(queue: Queue) -> None:
    started = time.monotonic()
    assert queue.receive() == []
    assert time.monotonic() - started < 1


def test_a_send_from_another_process_wakes_a_receiver(
    queue: Queue, open_backend: OpenBackend, elsewhere: Elsewhere
) -> None:
    back = open_backend(request_queue="back").requests
    elsewhere(ECHO)
    round_trip(queue, back, "until the process is up")
    started = time.monotonic()
    for i in range(5):
        round_trip(queue, back, str(i))
    # Ten times a sleeper was woken. One that only looks each second would have needed ten seconds.
    assert time.monotonic() - started < 3


def round_trip(there: Queue, back: Queue, body: str) -> None:
    there.send(body)
    (message,) = back.receive(wait=PATIENCE)
    assert message.body == body
    back.ack(message)


@pytest.mark.parametrize("how", ["send", "release"])
def test_a_receiver_is_woken_by_another_thread(queue: Queue, how: str) -> None:
    queue.send("held")
    (held,) = queue.receive()
    watched = Watched()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(timed_receive, queue, watched)
        assert watched.slept_over.wait(PATIENCE)
        woken_at = time.monotonic()
        if how == "send":
            queue.send("news")
        else:
            queue.release(held)
        message, returned_at = waiting.result(PATIENCE)
    assert message.body == {"send": "news", "release": "held"}[how]
    assert returned_at - woken_at < AT_ONCE


def timed_receive(queue: Queue, stop: Watched) -> tuple[Message, float]:
    (message,) = queue.receive(wait=PATIENCE, stop=stop)
    return message, time.monotonic()


def test_every_sleeper_hears_a_burst(queue: Queue) -> None:
    flags = [Watched() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(timed_receive, queue, flag) for flag in flags]
        assert all(flag.slept_over.wait(PATIENCE) for flag in flags)
        started = time.monotonic()
        for i in range(4):
            queue.send(str(i))
        received = [future.result(PATIENCE) for future in waiting]
    assert sorted(message.body for message, _ in received) == list("0123")
    assert max(at for _, at in received) - started < AT_ONCE


def test_a_stop_flag_ends_the_waiting(queue: Queue) -> None:
    stop = Watched()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.receive, wait=PATIENCE, stop=stop)
        assert stop.slept_over.wait(PATIENCE)
        stop.set()
        told_at = time.monotonic()
        assert waiting.result(PATIENCE) == []
    assert time.monotonic() - told_at < 2


def test_a_flag_set_before_lets_nobody_wait(queue: Queue) -> None:
    stop = Watched()
    stop.set()
    started = time.monotonic()
    assert queue.receive(wait=PATIENCE, stop=stop) == []
    assert time.monotonic() - started < 2


def test_a_sleeper_is_there_when_a_lease_ends(open_backend: OpenBackend) -> None:
    queue = open_backend(visibility_timeout=1.0).requests
    queue.send("one")
    started = time.monotonic()
    queue.receive()
    (again,) = queue.receive(wait=PATIENCE)
    assert again.receive_count == 2
    # Nobody rings when a lease ends, and yet nobody oversleeps to the next look.
    assert time.monotonic() - started < 1.0 + AT_ONCE


@where_a_queue_tells
def test_the_depth_tells_since_when_the_oldest_waits(queue: Queue) -> None:
    assert queue.depth().oldest is None
    before = time.time()
    queue.send("first")
    between = time.time()
    queue.send("second")
    assert before <= (queue.depth().oldest or 0.0) <= between
    (first,) = queue.receive()
    assert (queue.depth().oldest or 0.0) >= between, "one in flight waits no more"
    queue.ack(first)
    assert queue.receive()
    assert queue.depth().oldest is None


@where_a_queue_tells
def test_one_that_may_be_received_is_told_and_left_where_it_is(queue: Queue) -> None:
    assert not queue.await_any(wait=0.1)
    queue.send("one")
    assert queue.await_any(wait=PATIENCE)
    (one,) = queue.receive()
    assert one.receive_count == 1
    assert not queue.await_any(wait=0.1), "what is in flight may not be received"


@where_a_queue_tells
def test_who_awaits_a_message_is_told_at_once(queue: Queue) -> None:
    watched = Watched()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(timed_await, queue, watched)
        assert watched.slept_over.wait(PATIENCE)
        sent_at = time.monotonic()
        queue.send("one")
        assert waiting.result(PATIENCE) - sent_at < AT_ONCE


def timed_await(queue: Queue, stop: Watched) -> float:
    assert queue.await_any(wait=PATIENCE, stop=stop)
    return time.monotonic()

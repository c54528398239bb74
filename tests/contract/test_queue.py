"""SQS's rules, for every queue: leases, receipts, receive counts, dead letters, limits."""

import time
from collections.abc import Callable

import pytest

from facefleet.errors import TooLarge
from facefleet.model import Depth, Message
from facefleet.ports import Queue

from .conftest import OpenBackend

#: Longer than anything takes; a wait this long is cut short by what is waited for.
PATIENCE = 20.0

USES_OF_A_RECEIPT: dict[str, Callable[[Queue, Message], bool]] = {
    "ack": lambda queue, message: queue.ack(message),
    "release": lambda queue, message: queue.release(message),
    "extend": lambda queue, message: queue.extend(message, seconds=600.0),
}
every_use_of_a_receipt = pytest.mark.parametrize("use", USES_OF_A_RECEIPT.values(), ids=USES_OF_A_RECEIPT)


def take(queue: Queue, *, wait: float = 0.0) -> Message:
    (message,) = queue.receive(wait=wait)
    return message


def end_lease(queue: Queue, message: Message) -> None:
    """A lease that is over, without the waiting."""
    assert queue.extend(message, seconds=0.0)


def test_what_is_sent_is_received_as_it_was(queue: Queue) -> None:
    body = 'line\nbreak, "quotes", \\, a tab \t and 🙂'
    before = time.time()
    queue.send(body)
    message = take(queue)
    assert message.body == body
    assert message.receive_count == 1
    assert before - 1 <= message.sent_at <= time.time() + 1


def test_a_message_on_lease_is_received_by_nobody_else(queue: Queue, open_backend: OpenBackend) -> None:
    queue.send("one")
    take(queue)
    assert queue.receive() == []
    assert open_backend().requests.receive() == []


def test_a_message_comes_back_when_its_lease_ends(open_backend: OpenBackend) -> None:
    queue = open_backend(visibility_timeout=0.2).requests
    queue.send("one")
    first = take(queue)
    again = take(queue, wait=PATIENCE)
    assert (again.body, again.receive_count) == ("one", 2)
    assert again.receipt != first.receipt


def test_a_lease_lasts_as_long_as_the_queue_says(open_backend: OpenBackend) -> None:
    queue = open_backend(visibility_timeout=0.4).requests
    queue.send("one")
    started = time.monotonic()
    take(queue)
    take(queue, wait=PATIENCE)
    # It was received after `started`, so its return may only be later than this.
    assert 0.4 <= time.monotonic() - started < PATIENCE / 2


def test_an_ack_is_for_good(queue: Queue) -> None:
    queue.send("one")
    message = take(queue)
    assert queue.ack(message) is True
    assert queue.depth() == Depth(0, 0)
    assert queue.receive() == []


@every_use_of_a_receipt
def test_a_receipt_dies_with_its_lease(queue: Queue, use: Callable[[Queue, Message], bool]) -> None:
    queue.send("one")
    message = take(queue)
    end_lease(queue, message)
    assert use(queue, message) is False
    assert take(queue).body == "one"


@every_use_of_a_receipt
def test_a_late_receipt_leaves_the_next_lease_alone(queue: Queue, use: Callable[[Queue, Message], bool]) -> None:
    queue.send("one")
    late = take(queue)
    end_lease(queue, late)
    holder = take(queue)
    assert use(queue, late) is False
    assert queue.depth() == Depth(visible=0, in_flight=1)
    assert queue.ack(holder) is True


@every_use_of_a_receipt
def test_a_receipt_is_of_no_use_after_its_ack(queue: Queue, use: Callable[[Queue, Message], bool]) -> None:
    queue.send("one")
    message = take(queue)
    queue.ack(message)
    assert use(queue, message) is False


@every_use_of_a_receipt
def test_a_receipt_names_its_own_message_only(queue: Queue, use: Callable[[Queue, Message], bool]) -> None:
    queue.send("one")
    queue.send("two")
    first, second = queue.receive(limit=2)
    assert use(queue, first) is True
    assert queue.ack(second) is True


def test_an_extended_lease_outlasts_the_usual_one(open_backend: OpenBackend) -> None:
    queue = open_backend(visibility_timeout=0.3).requests
    queue.send("one")
    message = take(queue)
    assert queue.extend(message, seconds=600.0) is True
    assert queue.receive(wait=0.6) == []
    assert queue.ack(message) is True


def test_several_are_acked_together_and_a_lease_that_ended_is_left_alone(queue: Queue) -> None:
    for body in "abc":
        queue.send(body)
    messages = queue.receive(limit=3)
    late = messages[1]
    end_lease(queue, late)
    assert queue.ack_all(messages) == 2
    assert take(queue).body == late.body
    assert queue.ack_all(messages) == 0
    assert queue.depth() == Depth(visible=0, in_flight=1)


def test_a_released_message_is_received_at_once(queue: Queue) -> None:
    queue.send("one")
    assert queue.release(take(queue)) is True
    assert queue.depth() == Depth(visible=1, in_flight=0)
    assert take(queue).receive_count == 2


def test_a_message_released_for_later_rests_until_then(queue: Queue) -> None:
    queue.send("one")
    message = take(queue)
    released = time.monotonic()
    assert queue.release(message, after=0.3) is True
    assert queue.receive() == []
    assert take(queue, wait=PATIENCE).body == "one"
    assert time.monotonic() - released >= 0.29


def test_every_receive_counts(queue: Queue) -> None:
    queue.send("one")
    counts = []
    for _ in range(4):
        message = take(queue)
        counts.append(message.receive_count)
        queue.release(message)
    assert counts == [1, 2, 3, 4]


def test_a_limit_bounds_what_is_received(queue: Queue) -> None:
    for i in range(5):
        queue.send(str(i))
    first, rest = queue.receive(limit=3), queue.receive(limit=10)
    assert (len(first), len(rest)) == (3, 2)
    assert sorted(m.body for m in first + rest) == list("01234")
    assert len({m.receipt for m in first + rest}) == 5


def test_a_message_received_too_often_lies_with_the_dead_letters(open_backend: OpenBackend) -> None:
    backend = open_backend(visibility_timeout=600.0, max_receives=2)
    backend.requests.send("poison")
    for _ in range(2):
        backend.requests.release(take(backend.requests))
    assert backend.requests.receive() == []
    assert backend.requests.depth() == Depth(0, 0)
    assert backend.dead.depth() == Depth(visible=1, in_flight=0)
    assert take(backend.dead).body == "poison"


def test_a_message_whose_worker_dies_each_time_is_poison_too(open_backend: OpenBackend) -> None:
    backend = open_backend(visibility_timeout=0.1, max_receives=2)
    backend.requests.send("poison")
    for _ in range(2):
        take(backend.requests, wait=PATIENCE)
    assert backend.requests.receive(wait=0.5) == []
    assert take(backend.dead).body == "poison"


def test_the_last_receive_may_still_succeed(open_backend: OpenBackend) -> None:
    backend = open_backend(visibility_timeout=600.0, max_receives=2)
    backend.requests.send("hard")
    backend.requests.release(take(backend.requests))
    assert backend.requests.ack(take(backend.requests)) is True
    assert backend.requests.receive() == []
    assert backend.dead.depth() == Depth(0, 0)


def test_a_dead_letter_does_not_hold_up_the_others(open_backend: OpenBackend) -> None:
    backend = open_backend(visibility_timeout=600.0, max_receives=1)
    backend.requests.send("poison")
    backend.requests.release(take(backend.requests))
    backend.requests.send("fine")
    assert [m.body for m in backend.requests.receive(limit=2)] == ["fine"]


def test_depth_tells_waiting_from_leased(queue: Queue) -> None:
    for body in ("one", "two", "three"):
        queue.send(body)
    assert queue.depth() == Depth(visible=3, in_flight=0)
    first, second = queue.receive(limit=2)
    assert queue.depth() == Depth(visible=1, in_flight=2)
    queue.ack(first)
    assert queue.depth() == Depth(visible=1, in_flight=1)
    queue.release(second)
    assert queue.depth() == Depth(visible=2, in_flight=0)
    assert queue.depth().backlog == 2


def test_a_purge_removes_leased_messages_too_and_counts_them(queue: Queue) -> None:
    for body in ("one", "two", "three"):
        queue.send(body)
    leased = take(queue)
    assert queue.purge() == 3
    assert queue.depth() == Depth(0, 0)
    assert queue.ack(leased) is False
    assert queue.purge() == 0


def test_a_purge_leaves_other_queues_alone(queue: Queue, open_backend: OpenBackend) -> None:
    other = open_backend(request_queue="another").requests
    other.send("stays")
    queue.send("goes")
    assert queue.purge() == 1
    assert take(other).body == "stays"


def test_a_purge_leaves_the_dead_letters_alone(open_backend: OpenBackend) -> None:
    backend = open_backend(max_receives=1)
    backend.requests.send("poison")
    backend.requests.release(take(backend.requests))
    assert backend.requests.receive() == []
    assert backend.requests.purge() == 0
    assert backend.dead.purge() == 1


@pytest.mark.parametrize("letter", ["x", "é", "🙂"])
def test_the_size_limit_counts_bytes_and_not_characters(open_backend: OpenBackend, letter: str) -> None:
    queue = open_backend(max_message_bytes=1024).requests
    assert queue.max_message_bytes == 1024
    fits = letter * (1024 // len(letter.encode()))
    queue.send(fits)
    with pytest.raises(TooLarge, match="1024"):
        queue.send(fits + letter)
    assert take(queue).body == fits
    assert queue.receive() == []

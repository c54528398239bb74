"""Many at one queue, and some of them killed: every message once, none lost."""

import json
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from facefleet.model import Depth
from facefleet.ports import Queue

from .conftest import Elsewhere, OpenBackend

MESSAGES = [str(i) for i in range(200)]

RECEIVE_ALL = """
import json
print("ready", flush=True)
sys.stdin.readline()
bodies = []
while messages := backend.requests.receive(limit=3):
    bodies += [m.body for m in messages]
    assert all(backend.requests.ack(m) for m in messages)
print(json.dumps(bodies))
"""
SEND_FOREVER = """
from itertools import count
for i in count():
    backend.requests.send(str(i))
    print(i, flush=True)
"""
TAKE_ONE = """
(message,) = backend.requests.receive()
print(message.body, flush=True)
sys.stdin.readline()
"""


def receive_all(queue: Queue) -> list[str]:
    bodies = []
    while messages := queue.receive():
        bodies += [m.body for m in messages]
        assert all(queue.ack(m) for m in messages)
    return bodies


def test_eight_threads_receive_each_message_exactly_once(queue: Queue) -> None:
    for body in MESSAGES:
        queue.send(body)
    with ThreadPoolExecutor(8) as pool:
        shares = list(pool.map(receive_all, [queue] * 8))
    assert Counter(body for share in shares for body in share) == Counter(MESSAGES)
    assert queue.depth() == Depth(0, 0)


def test_four_processes_receive_each_message_exactly_once(queue: Queue, elsewhere: Elsewhere) -> None:
    for body in MESSAGES:
        queue.send(body)
    receivers = [elsewhere(RECEIVE_ALL) for _ in range(4)]
    for receiver in receivers:
        assert receiver.stdout.readline() == "ready\n"
    shares = [json.loads(receiver.communicate("go\n")[0]) for receiver in receivers]
    assert Counter(body for share in shares for body in share) == Counter(MESSAGES)


def test_threads_that_send_at_once_lose_nothing(queue: Queue) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(queue.send, MESSAGES))
    assert queue.depth().visible == len(MESSAGES)
    assert sorted(receive_all(queue)) == sorted(MESSAGES)


def test_what_a_killed_process_had_sent_is_there(queue: Queue, elsewhere: Elsewhere) -> None:
    sender = elsewhere(SEND_FOREVER)
    seen = [sender.stdout.readline().strip() for _ in range(25)]
    os.kill(sender.pid, signal.SIGKILL)
    sent = seen + sender.communicate()[0].split()
    received = receive_all(queue)
    assert set(sent) <= set(received)
    # The message in the making may be there or not; nothing is there twice, or by halves.
    assert Counter(received) <= Counter([*sent, str(len(sent))])


def test_what_a_killed_process_had_in_hand_comes_back(queue: Queue, elsewhere: Elsewhere) -> None:
    queue.send("one")
    receiver = elsewhere(TAKE_ONE, visibility_timeout=0.3)
    assert receiver.stdout.readline() == "one\n"
    receiver.kill()
    (again,) = queue.receive(wait=20.0)
    assert (again.body, again.receive_count) == ("one", 2)


def test_a_newcomer_finds_what_was_sent_before(queue: Queue, open_backend: OpenBackend) -> None:
    queue.send("one")
    (message,) = open_backend().requests.receive()
    assert message.body == "one"

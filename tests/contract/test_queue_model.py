"""The queue beside a model of a few lines: whatever is done to both, both say the same."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import hypothesis
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from facefleet.model import Depth, Message
from facefleet.ports import Backend
from facefleet.settings import Settings

from .conftest import OpenBackend

MAX_RECEIVES = 2
#: Which of several; taken modulo their number, since a queue may hand out messages in any order.
PICK = st.integers(0, 9)


@dataclass
class Kept:
    """A message as the model knows it; `lease` is what was received last, None once it has ended."""

    receives: int = 0
    lease: Message | None = None


class QueueBesideModel(RuleBasedStateMachine):
    """Leases last; one ends only where the machine ends it, so that no run depends on how fast it is."""

    def __init__(self, fresh: Callable[[], Backend]) -> None:
        super().__init__()
        backend = fresh()
        self.queue, self.dead = backend.requests, backend.dead
        self.sent = 0
        self.kept: dict[str, Kept] = {}
        self.dead_bodies: set[str] = set()
        self.expired: list[Message] = []

    def leased(self) -> list[str]:
        return [body for body, kept in self.kept.items() if kept.lease]

    def waiting(self) -> list[str]:
        return [body for body, kept in self.kept.items() if not kept.lease]

    @rule()
    def send(self) -> None:
        self.sent += 1
        self.queue.send(str(self.sent))
        self.kept[str(self.sent)] = Kept()

    @rule(limit=st.integers(1, 10))
    def receive(self, limit: int) -> None:
        messages = self.queue.receive(limit=limit)
        for body in [b for b in self.waiting() if self.kept[b].receives >= MAX_RECEIVES]:
            self.dead_bodies.add(body)
            del self.kept[body]
        assert len(messages) == min(limit, len(self.waiting()))
        assert {m.body for m in messages} <= set(self.waiting())
        for message in messages:
            kept = self.kept[message.body]
            kept.receives, kept.lease = kept.receives + 1, message
            assert message.receive_count == kept.receives

    def end(self, pick: int) -> tuple[str, Message] | None:
        """A lease that is over for the model; None where nothing is on lease."""
        if not (leased := self.leased()):
            return None
        body = leased[pick % len(leased)]
        message, self.kept[body].lease = self.kept[body].lease, None
        assert message is not None
        self.expired.append(message)
        return body, message

    @rule(pick=PICK)
    def ack(self, pick: int) -> None:
        if ended := self.end(pick):
            assert self.queue.ack(ended[1]) is True
            del self.kept[ended[0]]

    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        if ended := self.end(pick):
            assert self.queue.release(ended[1]) is True

    @rule(pick=PICK)
    def a_lease_ends(self, pick: int) -> None:
        if ended := self.end(pick):
            assert self.queue.extend(ended[1], seconds=0.0) is True

    @rule(pick=PICK)
    def extend(self, pick: int) -> None:
        if leased := self.leased():
            lease = self.kept[leased[pick % len(leased)]].lease
            assert lease is not None
            assert self.queue.extend(lease, seconds=900.0) is True

    @rule(pick=PICK)
    def late(self, pick: int) -> None:
        if self.expired:
            message = self.expired[pick % len(self.expired)]
            assert not self.queue.ack(message)
            assert not self.queue.release(message)
            assert not self.queue.extend(message, seconds=900.0)

    # Those that a receive would move to the dead letters, SQS's purge moves there, too: it receives.
    @precondition(lambda self: all(kept.lease or kept.receives < MAX_RECEIVES for kept in self.kept.values()))
    @rule()
    def purge(self) -> None:
        assert self.queue.purge() == len(self.kept)
        self.expired += [kept.lease for kept in self.kept.values() if kept.lease]
        self.kept.clear()

    @invariant()
    def depths_agree(self) -> None:
        leased = len(self.leased())
        assert self.queue.depth() == Depth(visible=len(self.kept) - leased, in_flight=leased)
        assert self.dead.depth().backlog == len(self.dead_bodies)

    def teardown(self) -> None:
        letters = set()
        while messages := self.dead.receive(limit=10):
            letters |= {letter.body for letter in messages}
        assert letters == self.dead_bodies


#: Of what is tried on one machine, less over a socket, where each step is a call.
EXAMPLES = {"embedded": 40, "aws": 12}


def test_the_queue_does_what_its_model_does(open_backend: OpenBackend, settings: Settings) -> None:
    def fresh() -> Backend:
        return open_backend(request_queue=f"q{uuid4().hex}", visibility_timeout=600.0, max_receives=MAX_RECEIVES)

    run_state_machine_as_test(
        lambda: QueueBesideModel(fresh),
        settings=hypothesis.settings(
            max_examples=EXAMPLES[settings.backend],
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""Queues as they stand on the account."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from facefleet.backends.aws.account.wanted import MADE_BY, SETUP, WantedQueue
from facefleet.backends.aws.faults import translated
from facefleet.backends.aws.replies import reply_queues
from facefleet.errors import NotFound

#: Where those go that were received too often. Its value is JSON, shown and compared as words.
REDRIVE = "RedrivePolicy"


class RedrivenQueue:
    """A queue, and where its dead letters go."""

    holds_people = False

    def __init__(self, sqs: Any, wanted: WantedQueue, *, maker: str = SETUP) -> None:
        """`maker`: what it is marked with once it is made here, and alone may be removed by."""
        self._sqs = sqs
        self._wanted = wanted
        self._maker = maker

    @property
    def what(self) -> str:
        return f"queue {self._wanted.name}"

    def wanted(self) -> Mapping[str, str]:
        facts = dict(self._wanted.attributes)
        if self._wanted.dead_letters:
            facts[REDRIVE] = _in_words(self._wanted.dead_letters, self._wanted.max_receives)
        return facts

    def found(self) -> Mapping[str, str] | None:
        with suppress(NotFound), translated(f"looking at the {self.what}"):
            attributes: dict[str, str] = self._attributes(self._url(self._wanted.name))
            if REDRIVE in attributes:
                policy = json.loads(attributes[REDRIVE])
                # A queue's dead letters lie in its own account and region, so that the name says which.
                name = policy["deadLetterTargetArn"].rpartition(":")[2]
                attributes[REDRIVE] = _in_words(name, int(policy["maxReceiveCount"]))
            return attributes
        return None

    def was_made_by_setup(self) -> bool:
        with translated(f"looking who made the {self.what}"):
            return _tags(self._sqs, self._url(self._wanted.name)).get(MADE_BY) == self._maker

    def is_a_strangers(self) -> bool:
        """Never: what setup changes of a queue loses nothing that is in it."""
        return False

    def make(self) -> None:
        with translated(f"making the {self.what} (SQS takes the name of a deleted one again a minute later)"):
            attributes = self._to_send(self.wanted())
            self._sqs.create_queue(QueueName=self._wanted.name, Attributes=attributes, tags={MADE_BY: self._maker})

    def change(self, facts: Mapping[str, str]) -> None:
        with translated(f"changing the {self.what}"):
            url = self._url(self._wanted.name)
            self._sqs.set_queue_attributes(QueueUrl=url, Attributes=self._to_send(facts))

    def remove(self) -> None:
        with suppress(NotFound), translated(f"removing the {self.what}"):
            self._sqs.delete_queue(QueueUrl=self._url(self._wanted.name))

    def _to_send(self, facts: Mapping[str, str]) -> dict[str, str]:
        """As SQS takes them: it wants the dead letters by ARN."""
        attributes = dict(facts)
        if REDRIVE in attributes:
            arn = self._attributes(self._url(self._wanted.dead_letters))["QueueArn"]
            policy = {"deadLetterTargetArn": arn, "maxReceiveCount": self._wanted.max_receives}
            attributes[REDRIVE] = json.dumps(policy)
        return attributes

    def _url(self, name: str) -> str:
        return str(self._sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def _attributes(self, url: str) -> dict[str, str]:
        return dict(self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])


def standing_replies(sqs: Any, prefix: str) -> tuple[RedrivenQueue, ...]:
    """The queues of web processes, living and gone."""
    names = [url.rpartition("/")[2] for url in reply_queues(sqs, prefix)]
    return tuple(RedrivenQueue(sqs, WantedQueue(name, ())) for name in names)


def _tags(sqs: Any, url: str) -> dict[str, str]:
    return dict(sqs.list_queue_tags(QueueUrl=url).get("Tags", {}))


def _in_words(name: str, receives: int) -> str:
    return f"to {name} after {receives} receives"

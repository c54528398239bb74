"""Who is told of new objects of a bucket: a queue that S3 may send to, and the bucket's notification."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from facefleet.backends.aws.account.queues import RedrivenQueue
from facefleet.backends.aws.account.wanted import RELAY_SETUP, WantedQueue
from facefleet.backends.aws.faults import translated
from facefleet.errors import BadSettings, NotFound

#: Of the queue's policy, and of the bucket's notification: what is called so is ours.
STATEMENT, NOTIFICATION = "FacefleetRelay", "facefleet-relay"
#: Put, Post, Copy and CompleteMultipartUpload:
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
CREATED = "s3:ObjectCreated:"
#: How S3 lists who is told, by where the list says who that is.
LISTS = {
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
SENDERS, TOLD = "sent to by", "new objects"
Json = dict[str, Any]


class ToldQueue(RedrivenQueue):
    """A queue that S3 may send to, of just this bucket and this account. What else its policy says stays."""

    def __init__(self, sqs: Any, wanted: WantedQueue, bucket: str) -> None:
        super().__init__(sqs, wanted, maker=RELAY_SETUP)
        self._bucket = bucket

    def wanted(self) -> Mapping[str, str]:
        return {**super().wanted(), SENDERS: f"bucket {self._bucket} of this account"}

    def found(self) -> Mapping[str, str] | None:
        attributes = super().found()
        if attributes is None:
            return None
        allowed = may_send(self._bucket, attributes["QueueArn"]) in statements(attributes)
        return {**attributes, SENDERS: self.wanted()[SENDERS] if allowed else "nobody whom we know"}

    def make(self) -> None:
        super().make()
        self._let_in()

    def change(self, facts: Mapping[str, str]) -> None:
        if others := {about: words for about, words in facts.items() if about != SENDERS}:
            super().change(others)
        if SENDERS in facts:
            self._let_in()

    def _to_send(self, facts: Mapping[str, str]) -> dict[str, str]:
        return super()._to_send({about: words for about, words in facts.items() if about != SENDERS})

    def _let_in(self) -> None:
        with translated(f"letting S3 send to the {self.what}"):
            url = self._url(self._wanted.name)
            attributes = self._attributes(url)
            others = [one for one in statements(attributes) if one.get("Sid") != STATEMENT]
            ours = may_send(self._bucket, attributes["QueueArn"])
            policy = json.dumps({"Version": "2012-10-17", "Statement": [*others, ours]})
            self._sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


class Notification:
    """That a bucket tells a queue of each new object. Whom else it tells stays told."""

    holds_people = False

    def __init__(self, s3: Any, sqs: Any, bucket: str, queue: str) -> None:
        self._s3 = s3
        self._sqs = sqs
        self._bucket = bucket
        self._queue = queue

    @property
    def what(self) -> str:
        return f"notification of {self._bucket}"

    def wanted(self) -> Mapping[str, str]:
        return {TOLD: f"told to queue {self._queue}"}

    def check(self) -> None:
        """Raises `BadSettings` where there is no bucket, or it tells somebody else of new objects."""
        try:
            told = self._configuration()
        except NotFound as e:
            raise BadSettings(
                f"there is no bucket {self._bucket}: `facefleet setup` makes it, or set FACEFLEET_INPUT_BUCKET to the "
                "one whose objects are to be recognised"
            ) from e
        for arn in others_told(told, self._queue):
            # Two that are told of the same objects S3 refuses, and ours is to be told of all.
            raise BadSettings(
                f"the bucket {self._bucket} tells {arn} of new objects, and cannot tell a relay as well: take "
                "that notification away; of a function that `facefleet deploy --serverless` made, deploy it --relay"
            )

    def found(self) -> Mapping[str, str] | None:
        told: Json = {}
        with suppress(NotFound):
            told = self._configuration()
        for one in told.get("QueueConfigurations", ()):
            name = one["QueueArn"].rpartition(":")[2]
            # A stack's has no name that we know it by.
            if one.get("Id") == NOTIFICATION or (name == self._queue and is_whole(one)):
                return {TOLD: f"told to queue {name}" if is_whole(one) else f"told in part to queue {name}"}
        return None

    def was_made_by_setup(self) -> bool:
        return any(one.get("Id") == NOTIFICATION for one in self._configuration().get("QueueConfigurations", ()))

    def is_a_strangers(self) -> bool:
        return False

    def make(self) -> None:
        with translated(f"having {self._bucket} tell {self._queue}"):
            url = self._sqs.get_queue_url(QueueName=self._queue)["QueueUrl"]
            names = ["QueueArn"]
            arn = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["QueueArn"]
        self._put({"Id": NOTIFICATION, "QueueArn": arn, "Events": [f"{CREATED}*"]})

    def change(self, facts: Mapping[str, str]) -> None:
        self.make()

    def remove(self) -> None:
        self._put()

    def _put(self, *ours: Json) -> None:
        """Instead of what is ours there; S3 forgets what is not said again."""
        told = self._configuration()
        queues = [one for one in told.get("QueueConfigurations", ()) if one.get("Id") != NOTIFICATION]
        with translated(f"changing the {self.what}"):
            self._s3.put_bucket_notification_configuration(
                Bucket=self._bucket, NotificationConfiguration=told | {"QueueConfigurations": [*queues, *ours]}
            )

    def _configuration(self) -> Json:
        with translated(f"looking at the {self.what}"):
            told: Json = self._s3.get_bucket_notification_configuration(Bucket=self._bucket)
        return {name: told[name] for name in (*LISTS, "EventBridgeConfiguration") if name in told}


def may_send(bucket: str, queue_arn: str) -> Json:
    """The statement of the queue's policy."""
    _, partition, _, _, account, *_ = queue_arn.split(":")
    return {
        "Sid": STATEMENT,
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        # Names of buckets are the whole world's: by the name alone a stranger's could come to send.
        "Condition": {
            "ArnEquals": {"aws:SourceArn": f"arn:{partition}:s3:::{bucket}"},
            "StringEquals": {"aws:SourceAccount": account},
        },
    }


def statements(attributes: Mapping[str, str]) -> list[Json]:
    found = json.loads(attributes.get("Policy") or "{}").get("Statement", ())
    # A single one may stand without brackets.
    return [found] if isinstance(found, dict) else list(found)


def others_told(told: Mapping[str, Any], queue: str) -> Iterator[str]:
    """Who else than this queue is told of new objects, even of some of them alone; by ARN."""
    for name, arn in LISTS.items():
        for one in told.get(name, ()):
            is_ours = one.get("Id") == NOTIFICATION or (one[arn].rpartition(":")[2] == queue and is_whole(one))
            if not is_ours and any(_is_creation(event) for event in one["Events"]):
                yield one[arn]


def is_whole(one: Mapping[str, Any]) -> bool:
    """Whether it tells of each new object, and not only of some."""
    return f"{CREATED}*" in one["Events"] and not one.get("Filter", {}).get("Key", {}).get("FilterRules")


def _is_creation(event: str) -> bool:
    return event.startswith(CREATED) or event == "s3:*"

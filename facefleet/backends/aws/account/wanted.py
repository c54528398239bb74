"""What is to stand on the account, made of the settings alone."""

import json
from dataclasses import dataclass
from math import ceil
from typing import Any

from facefleet import keys
from facefleet.ports import MAX_WAIT
from facefleet.settings import Settings

#: SQS quotas: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MOST_MESSAGE_BYTES = 1_048_576
LEAST_RETENTION, MOST_RETENTION = 60, 14 * 24 * 3600
MOST_LEASE = 12 * 3600
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
MOST_RECEIVES = 1000
DAY = 24 * 3600
#: Seconds, where whoever receives does not say another: SQS's own default.
LEASE = 30
#: Lifecycle rules of ours begin so; those of others are left as they are.
RULE = "facefleet-"
TLS_ONLY = "FacefleetTlsOnly"
#: A tag of what is ours: made by `setup`, so that a teardown may remove it with all it holds, or taken over from
#: somebody, whose it stays.
MADE_BY, SETUP, ADOPTION = "facefleet:made-by", "setup", "adoption"
#: The same of what `facefleet relay setup` made, and alone removes.
RELAY_SETUP = "relay-setup"
INDEX = "-index"


@dataclass(frozen=True, slots=True)
class WantedQueue:
    """`dead_letters`: the queue for what was received `max_receives` times; empty: none."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    dead_letters: str = ""
    max_receives: int = 0


@dataclass(frozen=True, slots=True)
class WantedBucket:
    """`setting` names it. `forgets`: prefixes, and the days after which what lies there goes."""

    name: str
    setting: str
    forgets: tuple[tuple[str, int], ...]
    versioned: bool = True
    holds_people: bool = False


@dataclass(frozen=True, slots=True)
class WantedTable:
    """`keys`: the partition key, and the sort key if there is one; all are strings."""

    name: str
    keys: tuple[str, ...]


Wanted = WantedQueue | WantedBucket | WantedTable


def wanted(settings: Settings) -> tuple[Wanted, ...]:
    """Everything, in the order in which it can be made."""
    return (*queues(settings), *buckets(settings), *tables(settings))


def queues(settings: Settings) -> tuple[WantedQueue, ...]:
    """The dead letters first: the request queue points to them."""
    dead = f"{settings.request_queue}-dead"
    kept = retention(settings.keep_days)
    size, lease = (
        min(settings.max_message_bytes, MOST_MESSAGE_BYTES),
        min(ceil(settings.visibility_timeout), MOST_LEASE),
    )
    # The time counts from the first send, so that a dead letter, too, is forgotten when the settings say.
    return (
        WantedQueue(dead, _attributes(MOST_MESSAGE_BYTES, LEASE, kept)),
        WantedQueue(
            settings.request_queue,
            _attributes(size, lease, kept),
            dead_letters=dead,
            max_receives=min(settings.max_receives, MOST_RECEIVES),
        ),
        # Empty as long as web processes wait for answers: each has one of its own behind this name.
        WantedQueue(settings.response_queue, _attributes(MOST_MESSAGE_BYTES, LEASE, kept)),
    )


def relay_queues(settings: Settings) -> tuple[WantedQueue, ...]:
    """What S3 tells a relay by, and where a function tells it results; each with its dead letters, which come first."""
    names = [settings.relay_input]
    if settings.relay_by == "function":
        # Other ways bring results home themselves.
        names.append(settings.relay_output or settings.response_queue)
    # Whoever receives says how long its lease is.
    attributes, found = _attributes(MOST_MESSAGE_BYTES, LEASE, retention(settings.keep_days)), []
    for name in (name.rpartition("/")[2] for name in names):
        dead = f"{name}-dead"
        found.append(WantedQueue(dead, attributes))
        # The relay itself counts what failed: an outage, and each start anew, receives as well, and is no failure.
        found.append(WantedQueue(name, attributes, dead_letters=dead, max_receives=MOST_RECEIVES))
    return tuple(found)


def _attributes(size: int, lease: int, kept: int) -> tuple[tuple[str, str], ...]:
    return (
        ("MaximumMessageSize", str(size)),
        ("MessageRetentionPeriod", str(kept)),
        ("ReceiveMessageWaitTimeSeconds", str(int(MAX_WAIT))),
        ("SqsManagedSseEnabled", "true"),
        ("VisibilityTimeout", str(lease)),
    )


def retention(keep_days: float) -> int:
    """So many days in seconds, within what SQS can do."""
    return min(max(ceil(keep_days * DAY), LEAST_RETENTION), MOST_RETENTION)


def buckets(settings: Settings) -> tuple[WantedBucket, ...]:
    # S3 forgets by whole days, at midnight; the controller does so earlier, and this where it does not run.
    days = max(1, ceil(settings.keep_days))
    once = ceil(keys.IDEMPOTENCY_KEPT / DAY)
    state = ((keys.RESULTS, days), (keys.QUEUED, days), (keys.IDEMPOTENCY, once), (keys.WORKERS, 1))
    return (
        WantedBucket(settings.input_bucket, "FACEFLEET_INPUT_BUCKET", (("", days),)),
        WantedBucket(settings.output_bucket, "FACEFLEET_OUTPUT_BUCKET", (("", days),)),
        # Written every few seconds, and nobody's image as it was sent: versions would only pile up.
        WantedBucket(settings.state_bucket, "FACEFLEET_STATE_BUCKET", state, versioned=False, holds_people=True),
    )


def tables(settings: Settings) -> tuple[WantedTable, ...]:
    return (
        WantedTable(settings.people_table, ("name",)),
        WantedTable(settings.people_table + INDEX, ("kind", "key")),
    )


def lifecycle(bucket: WantedBucket) -> list[dict[str, Any]]:
    """S3's rules: what is forgotten, and that nothing stays of what was deleted."""
    # Apart from the days: S3 takes the two in one rule for a contradiction.
    tidy = {
        "ID": f"{RULE}tidy",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    return [tidy, *(_forgetting(prefix, days) for prefix, days in bucket.forgets)]


def _forgetting(prefix: str, days: int) -> dict[str, Any]:
    return {
        "ID": f"{RULE}forget-{prefix.rstrip('/') or 'all'}",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": days},
    }


def in_words(rules: list[dict[str, Any]]) -> str:
    """`results/ after 7 days, workers/ after 1 day`."""
    told = []
    for rule in rules:
        days = rule.get("Expiration", {}).get("Days")
        if days is not None and rule.get("Status") == "Enabled":
            prefix = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
            told.append(f"{prefix or 'all'} after {days} day{'s' if days != 1 else ''}")
    return ", ".join(told) or "nothing"


def as_text(rule: dict[str, Any]) -> str:
    """The same for the same rule, whichever of its two ways S3 has to write what it is for."""
    rest = {name: value for name, value in rule.items() if name != "Prefix"}
    return json.dumps(rest | {"Filter": rule.get("Filter") or {"Prefix": rule.get("Prefix", "")}}, sort_keys=True)


def tls_only(bucket: str, *, partition: str) -> dict[str, Any]:
    """The statement of a bucket's policy that refuses whatever comes unencrypted."""
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "Sid": TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }

"""What a function costs: a month in which nothing happens, 1,000 clips and 1,000 frames, at list prices."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files

from facefleet.backends.aws.account.bill import DAYS, GB, Line, paid, total
from facefleet.backends.aws.account.cost import MONTH
from facefleet.backends.aws.account.prices import Prices, prices
from facefleet.backends.aws.account.serverless import FunctionWish

FILE = "function.toml"
MANY = 1000
#: MB of a GB, as Lambda counts them.
MB_OF_GB = 1024
#: Of `deploy/serverless.yaml`: the metrics that alarms look at, and one more each for its queue and for a relay.
WATCHED, OF_THE_QUEUE, OF_A_RELAY = 10, 1, 1
#: Metrics of its own: records, failures, starts.
OWN_METRICS = 3
#: GB of the image in ECR, two of them kept.
IMAGES_GB = 0.6
#: Lambda listens with five long polls of 20 s at a time:
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
POLLS_AN_HOUR = 5 * 3600 / 20
#: A relay listens to two queues, with a long poll of each.
RELAYS_POLLS_AN_HOUR = 2 * 3600 / 20


@dataclass(frozen=True, slots=True)
class FunctionUsage:
    """What one clip or frame uses. `sqs_requests`: as SQS counts them, by 64 KB; `bytes_stored`: until forgotten."""

    function_seconds: float
    http_requests: float
    sqs_requests: float
    s3_puts: float
    s3_gets: float
    dynamodb_reads: float
    dynamodb_writes: float
    bytes_stored: float
    log_bytes: float


@dataclass(frozen=True, slots=True)
class FunctionEstimate:
    """`idle`: a month in which nothing happens; `clips`, `frames`: 1,000 of them; `notes`: what these leave out."""

    idle: tuple[Line, ...]
    clips: tuple[Line, ...]
    frames: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def in_short(self) -> str:
        return (
            f"${total(self.idle):.2f} a month idle, ${total(self.clips):.3f} for each 1,000 clips, "
            f"${total(self.frames):.3f} for each 1,000 frames"
        )

    @property
    def as_json(self) -> dict[str, object]:
        sums = {f"{name}_sum": round(total(getattr(self, name)), 6) for name in ("idle", "clips", "frames")}
        return asdict(self) | sums


@cache
def function_usage() -> Mapping[str, FunctionUsage]:
    found = tomllib.loads(files(__package__).joinpath(FILE).read_text())
    return {name: FunctionUsage(**figures) for name, figures in found.items()}


def function_estimate(wish: FunctionWish, *, region: str = "us-east-1") -> FunctionEstimate:
    """By what was measured here, and list prices of us-east-1: calls nobody."""
    listed, used = prices(), function_usage()
    return FunctionEstimate(
        paid(_idle(wish, listed)),
        _each(used["clip"], wish, listed),
        _each(used["frame"], wish, listed),
        tuple(_notes(listed, region)),
    )


def _idle(wish: FunctionWish, listed: Prices) -> Iterable[Line]:
    queue, relay = wish.options.queue, wish.options.relay
    watched = WATCHED + OF_THE_QUEUE * queue + OF_A_RELAY * relay
    polls = MONTH * (POLLS_AN_HOUR * queue + RELAYS_POLLS_AN_HOUR * relay)
    yield Line("images in ECR", IMAGES_GB * listed.of("ecr-storage"), f"{IMAGES_GB:g} GB, this one and the one before")
    if wish.shared is None:
        yield Line("API key", listed.of("secret"), "a secret")
    yield Line("alarms", watched * listed.of("alarm"), f"on {watched} metrics; the first 10 of an account are free")
    yield Line("SQS", polls * listed.of("sqs-request"), f"{polls:,.0f} requests, to listen")


def _each(used: FunctionUsage, wish: FunctionWish, listed: Prices) -> tuple[Line, ...]:
    """So many of them, kept as long as the settings say."""
    options = wish.options
    seconds = MANY * used.function_seconds
    gb_seconds = seconds * options.memory / MB_OF_GB
    puts, gets, stored = (MANY * one for one in (used.s3_puts, used.s3_gets, used.bytes_stored / GB))
    reads, writes = MANY * used.dynamodb_reads, MANY * used.dynamodb_writes
    people = reads * listed.of("dynamodb-read") + writes * listed.of("dynamodb-write")
    how = f"{seconds:,.0f} s with {options.memory:,} MB"
    lines = (
        Line("function", gb_seconds * listed.of(f"lambda-{options.architecture}"), how),
        Line("calls", MANY * listed.of("lambda-call"), f"{MANY:,}"),
        Line(
            "HTTP", MANY * used.http_requests * listed.of("http-request"), f"{MANY * used.http_requests:,.0f} requests"
        ),
        Line("S3 writes", puts * listed.of("s3-put"), f"{puts:,.0f} PUT"),
        Line("S3 reads", gets * listed.of("s3-get"), f"{gets:,.0f} GET"),
        Line("S3 storage", stored * _months(wish) * listed.of("s3-storage"), f"{stored:.2f} GB, until forgotten"),
        Line("SQS", MANY * used.sqs_requests * listed.of("sqs-request"), f"{MANY * used.sqs_requests:,.0f} requests"),
        Line("DynamoDB", people, f"{reads:,.0f} reads, {writes:,.0f} writes"),
        Line("log lines", MANY * used.log_bytes / GB * listed.of("log"), f"{MANY * used.log_bytes / 1e6:.1f} MB"),
        Line("traces", MANY * listed.of("trace"), f"{MANY:,} at most; the first 100,000 a month are free"),
    )
    return paid(lines)


def _months(wish: FunctionWish) -> float:
    return wish.settings.keep_days / DAYS


def _notes(listed: Prices, region: str) -> Iterable[str]:
    yield "List prices without tax and free allowances; prices.toml tells where each was read, and when."
    if region != listed.region:
        yield f"These are prices of {listed.region}: those of {region} are others, mostly higher."
    metrics = OWN_METRICS * listed.of("metric")
    yield f"A month with work in every hour: ${metrics:.2f} more for {OWN_METRICS} metrics of its own."
    yield "Each start of a function, and what it waits for on AWS, was not measured there."

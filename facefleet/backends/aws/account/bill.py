"""What a use of AWS costs at list prices, line by line; and what the service uses, as `usage.toml` has it."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from facefleet.backends.aws.account.prices import Prices

FILE = "usage.toml"
HOUR = 3600.0
#: Of a month, in which storage is paid for.
DAYS = 30.0
GB = 1e9
UNKNOWN = "unknown: no price of {} is kept here; https://aws.amazon.com/ec2/pricing/on-demand/ tells it"


@dataclass(frozen=True, slots=True)
class Usage:
    """What something uses of AWS. `sqs_requests`: as SQS counts them, by 64 KB. LIST is among `s3_puts`, as in prices.

    `cpu_seconds`: of workers; `bytes_stored`: in buckets, until they are forgotten.
    """

    cpu_seconds: float = 0.0
    sqs_requests: float = 0.0
    s3_puts: float = 0.0
    s3_gets: float = 0.0
    dynamodb_reads: float = 0.0
    dynamodb_writes: float = 0.0
    bytes_stored: float = 0.0
    bytes_answered: float = 0.0


@dataclass(frozen=True, slots=True)
class Workers:
    """`spot_share` of their time is paid at the price of spot; `unlimited`: without CPU credits they pay, not wait."""

    kind: str
    spot_share: float = 0.0
    unlimited: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """`dollars`: None where no price is known, as `how` then says."""

    what: str
    dollars: float | None
    how: str


@cache
def usage() -> Mapping[str, Usage]:
    """`image`: for each; `idle_hour`: for each, with no instance up."""
    found = tomllib.loads(files(__package__).joinpath(FILE).read_text())
    return {name: Usage(**figures) for name, figures in found.items()}


def total(lines: Iterable[Line]) -> float:
    """Dollars of the lines whose price is known."""
    return sum(line.dollars or 0.0 for line in lines)


def of_images(image: Usage, count: int, workers: Workers, days: float, listed: Prices) -> tuple[Line, ...]:
    """So many images, kept for so many days; the workers' vCPUs are all busy."""
    return (
        *compute(count * image.cpu_seconds, workers, listed),
        *calls(image, count, listed),
        *kept(image, count, days, listed),
    )


def compute(cpu_seconds: float, workers: Workers, listed: Prices) -> tuple[Line, ...]:
    price = listed.instances.get(workers.kind)
    if price is None:
        return (Line("workers", None, UNKNOWN.format(workers.kind)),)
    hours, spot = cpu_seconds / HOUR, workers.spot_share
    each = (1 - spot) * price.vcpu_hour() + spot * price.vcpu_hour(spot=True)
    credits = hours * price.surplus_hour if workers.unlimited else 0.0
    share = f", {spot:.0%} of it spot" if spot else ""
    lines = (
        Line("workers", hours * each, f"{cpu_seconds:.1f} s of a vCPU of {workers.kind}{share}"),
        Line("CPU credits", credits, f"beyond {price.baseline:.0%} of each vCPU"),
        Line("workers' addresses", hours / price.vcpus * listed.of("address"), "a public one for each, while it runs"),
    )
    return paid(lines)


def calls(used: Usage, count: float, listed: Prices) -> tuple[Line, ...]:
    """So many times what was used, of the services that are paid for by the call."""
    sqs, puts, gets = (count * each for each in (used.sqs_requests, used.s3_puts, used.s3_gets))
    reads, writes = count * used.dynamodb_reads, count * used.dynamodb_writes
    people = reads * listed.of("dynamodb-read") + writes * listed.of("dynamodb-write")
    lines = (
        Line("SQS", sqs * listed.of("sqs-request"), f"{sqs:,.0f} requests of 64 KB"),
        Line("S3 writes", puts * listed.of("s3-put"), f"{puts:,.0f} PUT or LIST"),
        Line("S3 reads", gets * listed.of("s3-get"), f"{gets:,.0f} GET"),
        Line("DynamoDB", people, f"{reads:,.0f} reads, {writes:,.0f} writes"),
    )
    return paid(lines)


def kept(used: Usage, count: int, days: float, listed: Prices) -> tuple[Line, ...]:
    """What is stored for so many days, and what is answered."""
    stored, answered = count * used.bytes_stored / GB, count * used.bytes_answered / GB
    return (
        Line("S3 storage", stored * days / DAYS * listed.of("s3-storage"), f"{stored:.2f} GB for {days:g} days"),
        Line("answers", answered * listed.of("transfer"), f"{1000 * answered:.1f} MB to the internet"),
    )


def paid(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Those that cost something, or nobody knows what."""
    return tuple(line for line in lines if line.dollars != 0)

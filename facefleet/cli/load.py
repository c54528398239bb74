"""`facefleet load`: so many uploads, by any entrance, and how long each took."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from rich.console import Console
from rich.progress import BarColumn as Bar
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from facefleet import answers, keys
from facefleet.classroom import mapping
from facefleet.classroom.mapping import Expected
from facefleet.cli import newfile
from facefleet.cli.client import Client
from facefleet.cli.loading import figures, picture, results, stopping, work
from facefleet.cli.loading.engine import Pace, Run
from facefleet.cli.loading.entrances import CLASSIC_FIELDS, V1, Classic, Entrance, Function, Presigned
from facefleet.cli.loading.exchange import Exchange
from facefleet.cli.loading.figures import Figures, Tally
from facefleet.cli.loading.options import Number
from facefleet.cli.loading.work import Upload
from facefleet.settings import Settings

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
ENTRANCES = ("v1", "classic", "function", "s3", "bucket")
#: Each is a thread; more than these are no more at once on any machine that one would send from.
MOST_AT_ONCE = 1000
#: The buckets, by area.
WORDS = {keys.INPUT: "input", keys.OUTPUT: "output"}
#: Longer than a web tier lets a classic upload wait nobody waits.
LONGEST = 900.0


@dataclass(frozen=True)
class Asked:
    """The options of one run."""

    folder: Path
    requests: int | None
    concurrency: int
    rate: float | None
    entrance: str
    images: bool
    videos: bool
    distinct: bool
    mapping: Path | None
    field: str
    timeout: float
    out: Path | None
    picture: Path | None

    @property
    def pace(self) -> Pace:
        return Pace(min(self.concurrency, self.count), self.rate, self.timeout)

    @cached_property
    def files(self) -> list[Path]:
        return work.files_in(self.folder, work.suffixes_of(images=self.images, videos=self.videos))

    @cached_property
    def expected(self) -> tuple[Expected, ...]:
        return mapping.read(self.mapping) if self.mapping else ()

    @cached_property
    def count(self) -> int:
        return self.requests or len(self.expected if self.mapping else self.files)

    def uploads(self) -> Iterator[Upload]:
        """The same each time, but for their marks. Made as they are needed: there may be a million."""
        found = (
            work.named(self.files, self.expected, self.count) if self.mapping else work.numbered(self.files, self.count)
        )
        return (replace(one, mark=uuid4().hex) for one in found) if self.distinct else found

    def check(self) -> None:
        """Raises what is wrong with the files that are named: better now than after an hour of sending."""
        if self.out is not None:
            newfile.check(self.out, results.ENDINGS)
        if self.picture is not None:
            newfile.check(self.picture, picture.ENDINGS)
        # All of a mapping, for a line that no clip fits may be the last.
        deque(self.uploads() if self.mapping else islice(self.uploads(), 1), maxlen=0)


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("-n", "--requests", type=click.IntRange(1, work.MOST), help="Uploads; else each file once.")
@click.option("--concurrency", default=20, show_default=True, type=click.IntRange(1, MOST_AT_ONCE), help="At a time.")
@click.option("--rate", type=Number(1e-3, 1e5), help="Begin so many a second, answered or not.")
@click.option("--entrance", default="v1", show_default=True, type=click.Choice(ENTRANCES), help="Where they go in.")
@click.option("--images", is_flag=True, help="Photos only; else photos and clips, by their names' endings.")
@click.option("--videos", is_flag=True, help="Clips only.")
@click.option("--distinct", is_flag=True, help="Make each another file, that no cache knows; it looks the same.")
@click.option("--mapping", type=FILE, help="Send under the names of this file, each the clip that fits its line.")
@click.option("--field", default=CLASSIC_FIELDS[0], type=click.Choice(CLASSIC_FIELDS), help="classic: the field.")
@click.option("--url", help="Where the service, or the function, is; else FACEFLEET_URL.")
@click.option("--timeout", default=120.0, show_default=True, type=Number(0.1, LONGEST), help="Of an upload.")
@click.option("--clear", is_flag=True, help="First delete what earlier runs left.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--out", type=NEW_FILE, help="Write a row for each upload: .csv or .jsonl.")
@click.option("--picture", type=NEW_FILE, help="Draw the latencies into this PNG or SVG.")
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object, for scripts.")
@click.pass_obj
def load(settings: Settings, /, *, url: str | None, clear: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Send the files of FOLDER, in turn, and tell how long answers took.

    \b
    Entrances:
      v1        POST /v1/recognitions and /v1/videos; an answer that comes later is fetched
      classic   POST / as the course's load generators, a connection each; test_00:Paul
      function  POST / with {"request_id","content","filename"}
      s3        POST /v1/uploads, PUT to the address that it gives, then fetch the answer
      bucket    put into the input bucket with your own credentials, and wait for the output

    A file that was answered before may be answered from a cache, which is told; with --distinct none is.

    A latency runs until the answer is here, tries again and looks for a later answer included. Without --rate it
    begins when the upload is sent. With --rate it begins when the upload was due: were it counted from later, since
    too many were under way, a service that stalls would look as if it did not (coordinated omission).

    Exit code 1 if one was not answered; `unknown` is an answer. Ctrl-C tells what was done until then.

    \b
    Examples:
      facefleet load photos/ -n 1000 --concurrency 50
      facefleet load clips/ --rate 1 --entrance s3 --picture latencies.png
      facefleet load classroom/ --mapping classroom/mapping --entrance bucket --clear --out results.csv
      facefleet load photos/ --entrance classic --url http://10.0.0.4:8000/ --json | jq .latency.p95
    """
    asked = Asked(**options)
    asked.check()
    settings = replace(settings, url=url) if url else settings
    settings.check()
    if clear and not yes:
        click.confirm(_question(settings, asked.entrance), abort=True)
    enter = _entered(settings, asked, clear=clear)
    tally, found, stopped = _sent(asked, enter, quiet=as_json)
    _tell(tally, found, asked, stopped=stopped, as_json=as_json)
    if found.failed or stopped:
        raise SystemExit(1)


def _question(settings: Settings, entrance: str) -> str:
    if entrance == "bucket":
        return f"Delete all that lies in the buckets {settings.input_bucket} and {settings.output_bucket}?"
    return f"Delete all messages, images and answers at {settings.service_url}?"


def _entered(settings: Settings, asked: Asked, *, clear: bool) -> Callable[[], Entrance]:
    """What makes an entrance for each thread, behind which all is cleared if that is wanted."""
    if asked.entrance == "bucket":
        return _bucket(settings, asked, clear=clear)
    if clear:
        removed = Client(settings).call("POST", "/v1/purge", json={"confirm": "purge"})["removed"]
        click.echo("removed: " + ", ".join(f"{count} {what}" for what, count in removed.items()), err=True)
    exchange = partial(Exchange, settings.service_url, settings.api_key)
    entrances: dict[str, Callable[[], Entrance]] = {
        "v1": lambda: V1(exchange()),
        "classic": lambda: Classic(exchange(fresh=True), asked.field),
        "function": lambda: Function(exchange()),
        "s3": lambda: Presigned(exchange(), Exchange),
    }
    return entrances[asked.entrance]


def _bucket(settings: Settings, asked: Asked, *, clear: bool) -> Callable[[], Entrance]:
    # Here, for boto3 takes half a second to load, and no other entrance needs it.
    from facefleet.cli.loading import bucket

    blobs = bucket.blobs_of(settings, connections=asked.concurrency)
    if clear:
        found = bucket.contents(blobs)
        for area, there in found.items():
            bucket.clear(blobs, there)
            click.echo(f"removed: {len(there)} from the {WORDS[area]} bucket", err=True)
    bucket.refuse_answered(blobs, asked.uploads(), settings.line_suffix)
    entrance = bucket.Bucket(blobs, answers.columns_of(settings.columns), settings.line_suffix)
    return lambda: entrance


def _sent(asked: Asked, enter: Callable[[], Entrance], *, quiet: bool) -> tuple[Tally, Figures, bool]:
    """What came of all uploads, and whether somebody stopped us before there was an answer to each."""
    tally, started = Tally(), time.monotonic()
    bar = (TextColumn("sending"), Bar(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed"))
    with (
        stopping.flag() as stop,
        results.writing(asked.out) as write,
        Progress(*bar, TimeRemainingColumn(), console=Console(stderr=True), disable=quiet) as progress,
    ):
        task = progress.add_task("", total=asked.count, failed=0)
        for outcome in Run(asked.uploads(), enter, asked.pace, stop):
            tally.add(outcome)
            write(results.row_of(outcome))
            progress.update(task, advance=1, failed=tally.failed)
        return tally, tally.figures(time.monotonic() - started), stop.is_set()


def _tell(tally: Tally, found: Figures, asked: Asked, *, stopped: bool, as_json: bool) -> None:
    if asked.picture is not None and found.answered:
        picture.draw(tally.latencies, found, asked.picture)
    if as_json:
        about = {"entrance": asked.entrance, "wanted": asked.count, **asdict(asked.pace), "stopped": stopped}
        click.echo(json.dumps(about | asdict(found), indent=2))
        return
    if stopped:
        click.echo(f"stopped after {found.sent} of {asked.count}", err=True)
    console = Console()
    console.print(figures.table(found))
    if found.answered:
        console.print(figures.histogram(tally.latencies))

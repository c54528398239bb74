"""`facefleet verify`: answers held against the truth."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from facefleet import answers
from facefleet.classroom import mapping
from facefleet.classroom.verify import Report, Verdict, join
from facefleet.cli.loading import outputs
from facefleet.cli.loading.options import Number
from facefleet.cli.loading.outputs import Log
from facefleet.cli.plain import plain
from facefleet.settings import Settings

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
#: Seconds of a log: two weeks.
MOST_SINCE = 14 * 86_400.0
EVENTS = ("s3", "sqs", outputs.HTTP)
#: Lines of what is not right; the rest is counted, and told by --json.
MOST_LINES = 50
STYLES = {Verdict.SPELLING: "yellow", Verdict.WRONG: "red", Verdict.MISSING: "red", Verdict.UNJUDGED: "red"}


@click.command()
@click.argument("source", metavar="RESULTS")
@click.argument("truth", metavar="MAPPING", type=FILE)
@click.option("--log", type=FILE, help="The function's log: lines of JSON.")
@click.option("--log-group", help="The function's log group of CloudWatch.")
@click.option("--relay", is_flag=True, help="Count what the relay on this machine was told, and whom it called.")
@click.option("--since", default=3600.0, show_default=True, type=Number(1.0, MOST_SINCE), help="Seconds of it to read.")
@click.option(
    "--event", default="s3", show_default=True, type=click.Choice(EVENTS), help="What the log is counted for."
)
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object, for scripts.")
@click.pass_obj
def verify(
    settings: Settings,
    source: str,
    truth: Path,
    log: Path | None,
    log_group: str | None,
    since: float,
    event: str,
    *,
    relay: bool,
    as_json: bool,
) -> None:
    """Hold RESULTS against MAPPING: what is right, wrong, missing, answered twice, or spelt otherwise.

    RESULTS is what `facefleet load --out` wrote, or a folder of output files, as test_0 or test_0.txt with
    name,major,year inside, or s3://BUCKET. MAPPING has lines test_5.mp4:history,senior, or test_00.jpg:Paul, or is
    CSV with a header, file,name,major,year. Attributes are compared in the order of FACEFLEET_COLUMNS.

    An answer that differs in spelling alone, freshman and freshmen, counts as right and is told. With a log, or what a
    relay noted, uploads, events, invocations of the function and results are counted too.

    Exit code 0 only where all is right, nothing is doubled or too much, and all counts are equal.

    \b
    Examples:
      facefleet verify results.csv classroom/mapping
      facefleet verify outputs/ labels.csv --json | jq .wrong
      facefleet verify s3://facefleet-output mapping --log-group /aws/lambda/facefleet-function
      facefleet verify /var/lib/facefleet/results mapping --relay
    """
    if (log is not None) + (log_group is not None) + relay > 1:
        raise click.UsageError("--log, --log-group and --relay: name one of them")
    expected = mapping.read(truth)
    given = outputs.given_by(source, answers.columns_of(settings.columns))
    told = outputs.of_relay(settings.data, since) if relay else _log(log, log_group, since, event)
    report = join(given, expected, outputs.counts_of(given, told, tells_uploads=outputs.is_complete(source)))
    if as_json:
        click.echo(json.dumps(as_object(report), indent=2, ensure_ascii=False))
    else:
        _show(report, Console())
    if not report.is_right:
        raise SystemExit(1)


def _log(file: Path | None, group: str | None, since: float, event: str) -> Log | None:
    if file is not None:
        return outputs.of_log(outputs.log_lines(file), event)
    return outputs.of_log(outputs.group_lines(group, since), event) if group is not None else None


def as_object(report: Report) -> dict[str, object]:
    """How many of each, those that are not simply right, and the counts."""
    verdicts = {verdict.value: [asdict(one) for one in report.of(verdict)] for verdict in STYLES}
    return {
        "expected": len(report.judged),
        "right": len(report.of(Verdict.RIGHT)) + len(report.of(Verdict.SPELLING)),
        **verdicts,
        "extra": list(report.extra),
        "duplicates": dict(report.duplicates),
        "counts": report.counts.known,
        "counts_agree": report.counts.agree,
        "ok": report.is_right,
    }


def _show(report: Report, console: Console) -> None:
    for name, words in in_words(report):
        console.print(f"{name:<11}{escape(plain(words))}", highlight=False, soft_wrap=True)
    lines = [one for verdict in STYLES for one in report.of(verdict)]
    if not lines:
        return
    table = Table("file", "", "answered", "expected", box=SIMPLE_HEAD)
    for one in lines[:MOST_LINES]:
        verdict = Text(one.verdict.value, style=STYLES[one.verdict])
        table.add_row(Text(plain(one.key)), verdict, Text(plain(one.given or "–")), Text(one.expected))
    console.print(table)
    if lines[MOST_LINES:]:
        console.print(f"and {len(lines) - MOST_LINES} more: --json tells them", highlight=False)


def in_words(report: Report) -> list[tuple[str, str]]:
    """Lines to show, each with its name; the first is the sum of it, and what there is none of is left out."""
    spelt = len(report.of(Verdict.SPELLING))
    right = f"{len(report.of(Verdict.RIGHT)) + spelt} of {len(report.judged)}"
    lines = [("right", f"{right}, {spelt} of them in another spelling" if spelt else right)]
    for verdict in (Verdict.WRONG, Verdict.MISSING):
        lines.append((verdict.value, str(len(report.of(verdict)))))
    if unjudged := report.of(Verdict.UNJUDGED):
        lines.append(("unjudged", f"{len(unjudged)}: the mapping tells attributes only, and these answers none"))
    if report.extra:
        lines.append(("extra", f"{len(report.extra)} that the mapping does not have: {some(report.extra)}"))
    if twice := report.duplicates:
        lines.append(("duplicate", f"{len(twice)} more than once: {some([f'{k} ({n}×)' for k, n in twice.items()])}"))
    sign = " = " if report.counts.agree else " ≠ "
    return [*lines, ("counts", sign.join(f"{count} {name}" for name, count in report.counts.known.items()))]


def some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", …" if names[most:] else "")

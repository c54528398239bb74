"""A plan of stacks and machines as a table and as JSON, and what is done of it, a line or a bar for each step."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from facefleet.backends.aws.account.resources import Verb
from facefleet.backends.aws.account.rollout import Action
from facefleet.backends.aws.account.rollout import Verb as Deed
from facefleet.backends.aws.account.stack_told import Event, Planned
from facefleet.cli.setup import COLOURS

#: What begins with a step, for who has not seen the others.
FIRST = {
    Deed.LAUNCH_CANARY: "one worker tries the image first; then all follow where the stack changes them",
    Deed.UPDATE: "follow, one at a time, where the stack changes them",
}
#: Of a stack that is made, whose resources are many: so many kinds are told in a line.
OF_AWS = "AWS::"


@dataclass(frozen=True, slots=True)
class Row:
    verb: Verb
    what: str
    why: str


def rows(planned: Planned) -> list[Row]:
    """A line for each change; one for a stack that is new, or as it should be."""
    if planned.verb is not Verb.CHANGE:
        return [Row(planned.verb, f"stack {planned.name}", _kinds(planned))]
    return [
        Row(one.verb, f"{planned.name}: {one.what}", ", ".join(one.about) or one.kind.removeprefix(OF_AWS))
        for one in planned.changes
    ]


def _kinds(planned: Planned) -> str:
    counts: dict[str, int] = {}
    for one in planned.changes:
        kind = one.kind.removeprefix(OF_AWS)
        counts[kind] = counts.get(kind, 0) + 1
    return ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in sorted(counts.items()))


def row_of(action: Action) -> Row:
    """What is to be done about machines: the first step, since the others depend on what comes of it."""
    if action.verb is Deed.DONE:
        return Row(Verb.FINE, "machines", "")
    return Row(Verb.CHANGE, "machines", FIRST.get(action.verb) or in_words(action))


def in_words(action: Action) -> str:
    """`the web tier: waiting until it answers an upload (i-0123)`."""
    if action.verb is Deed.WAIT:
        return f"{action.stage}: {action.verb} {action.why}{f' ({action.subject})' if action.subject else ''}"
    return f"{action.stage}: {action.verb} {action.subject}".rstrip()


def show(those: list[Row], estimate: str) -> None:
    table = Table("", "what", "why")
    for row in those:
        table.add_row(f"[{COLOURS[row.verb]}]{row.verb}[/]", row.what, row.why)
    Console().print(table)
    if estimate:
        click.echo(f"It costs {estimate}.")


def report(planned: Planned) -> Mapping[str, Any]:
    changes = [
        {"what": one.what, "kind": one.kind, "verb": one.verb, "about": list(one.about)} for one in planned.changes
    ]
    return {"stack": planned.name, "verb": planned.verb, "changes": changes}


class Steps:
    """Each step as it begins: a bar on a terminal, lines elsewhere, nothing where `quiet`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = ""
        self.deeds = 0

    def event(self, event: Event) -> None:
        if event.status.endswith(("_COMPLETE", "FAILED")):
            self.tell(f"{event.what}: {event.status.lower().replace('_', ' ')} {event.reason}".strip())

    def action(self, action: Action) -> None:
        self.deeds += action.verb is not Deed.WAIT
        self.tell(in_words(action))

    def tell(self, words: str) -> None:
        """Once, until there are others."""
        if words != self._said:
            self._said = words
            self._say(words)


@contextmanager
def steps(*, quiet: bool) -> Iterator[Steps]:
    if quiet or not sys.stderr.isatty():
        yield Steps(lambda words: None if quiet else click.echo(words, err=True))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)
        yield Steps(lambda words: progress.update(task, description=words))


@contextmanager
def counting(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int, str], None]]:
    """Tells how many of so many there are, and in words what is waited for."""
    if quiet or not sys.stderr.isatty():
        lines = Steps(lambda words: None if quiet else click.echo(words, err=True))
        yield lambda count, words: lines.tell(f"{what}: {count} of {total} ({words})")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count, words: progress.update(task, completed=count, description=f"{what} {words}".strip())

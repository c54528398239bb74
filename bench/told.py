"""How a bench tells its figures: as one JSON object, or as a table of two columns."""

import json
from collections.abc import Mapping

import click
from rich.console import Console
from rich.table import Table


def tell(title: str, figures: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(figures))
        return
    table = Table("measured", "", title=title)
    for name, value in figures.items():
        table.add_row(name, str(value))
    Console().print(table)

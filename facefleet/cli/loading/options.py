"""Kinds of options."""

from math import isnan
from typing import Any

import click


class Number(click.FloatRange):
    """Within bounds, and a number: `nan`, which compares with nothing, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if isnan(number):
            self.fail(f"{value} is no number", param, ctx)
        return number


#: Of patience: a day at most.
SECONDS = Number(0.0, 86_400.0)

"""A setting: its default, what is said of it, and what stands in the environment as a value of its kind."""

from collections.abc import Callable, Mapping
from dataclasses import field
from types import UnionType
from typing import Any, get_args

from facefleet.errors import BadSettings

PREFIX = "FACEFLEET_"
TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def setting(
    default: Any, help: str, *, low: float | None = None, high: float | None = None, secret: bool = False
) -> Any:
    return field(default=default, repr=not secret, metadata={"help": help, "low": low, "high": high})


def parsed(name: str, kind: Any, bounds: Mapping[str, float | None], text: str) -> Any:
    """The value, within its bounds, `low` and `high`; raises `BadSettings`, which names the setting."""
    if isinstance(kind, UnionType):
        if not text:
            return None
        kind = get_args(kind)[0]
    convert: Callable[[str], Any] = (lambda t: TRUTH[t.lower()]) if kind is bool else kind
    try:
        value = convert(text)
    except (ValueError, KeyError):
        raise BadSettings(f"{name} must be {kind.__name__}, not {text!r}") from None
    low, high = bounds["low"], bounds["high"]
    # Written so that "nan", which compares with nothing, is refused too.
    if low is not None and not low <= value < float("inf"):
        raise BadSettings(f"{name} must be at least {_plain(low)}, not {text}")
    if high is not None and value > high:
        raise BadSettings(f"{name} must be at most {_plain(high)}, not {text}")
    return value


def _plain(number: float) -> str:
    """As people write it: 0.000001, not 1e-06."""
    return f"{number:f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)

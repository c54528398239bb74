"""Settings: one TOML file and a few options of the command line, read once into a frozen value."""

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

#: Where `install.sh` writes them.
PLACE = Path("/etc/pi_uploader.toml")
#: Holds the key, over what the file says: an environment is easier to keep to oneself than a command line.
KEY_VARIABLE = "FACEFLEET_API_KEY"
#: GPIO numbers of the 40-pin header: https://pinout.xyz
MAX_PIN = 27
#: Settings that are one of some words.
CHOICES = {
    "upload": ("direct", "presigned"),
    "record": ("both", "clips", "frames"),
    "clip": ("h264", "mp4"),
    "on_hold": ("exit", "poweroff"),
}
KINDS = {int: "a whole number", float: "a number", str: 'a text, as "this"'}


class BadSettings(ValueError):
    """A setting is unknown, or has a value that cannot be used: correct it."""


def setting(
    default: Any, help: str, *, low: float | None = None, high: float | None = None, secret: bool = False
) -> Any:
    return field(default=default, repr=not secret, metadata={"help": help, "low": low, "high": high})


def pin(number: int, help: str) -> Any:
    return setting(number, f"GPIO number of {help}; 0: there is none", low=0, high=MAX_PIN)


@dataclass(frozen=True, slots=True)
class Settings:
    url: str = setting("http://127.0.0.1:8000", "the service, as http://HOST:8000")
    api_key: str = setting("", f"the service's key; {KEY_VARIABLE} in the environment goes before it", secret=True)
    ca_file: str = setting("", "certificate of an authority of your own, for https")
    upload: str = setting(
        "direct", "how captures go: direct, to the service; presigned, to its bucket by a URL that it gives for each"
    )
    camera: str = setting("auto", "auto, picamera2, usb, usb:1, or folder:PATH, whose files are taken in turn")
    width: int = setting(1280, "pixels of a photo", low=64, high=9152)
    height: int = setting(960, "pixels of a photo", low=64, high=6944)
    data: str = setting("~/.pi_uploader", "the one folder with all that is kept: spool and answers")
    spool_bytes: int = setting(500_000_000, "most that captures may take on the disk", low=1_000_000)
    free_bytes: int = setting(200_000_000, "what captures leave free on the disk", low=0)
    keep_days: float = setting(7.0, "days until answers are forgotten", low=0.01)
    interval: float = setting(0.5, "seconds from frame to frame, live and video", low=0.05, high=3600)
    seconds: float = setting(300.0, "seconds that a live or video session takes", low=0.1)
    record: str = setting("both", "what video takes: clips, frames, or both")
    segment_seconds: float = setting(0.5, "seconds of a clip, video", low=0.2, high=60)
    clip: str = setting("h264", "form of a clip: h264, as the encoder gives it; mp4, which other programs play, too")
    uploads: int = setting(4, "uploads under way at once, live and video", low=1, high=16)
    button_pin: int = pin(17, "the button, which connects it to ground")
    working_pin: int = pin(22, "the LED that is lit while an answer is awaited")
    known_pin: int = pin(27, "the LED for somebody known")
    unknown_pin: int = pin(23, "the LED for somebody unknown")
    offline_pin: int = pin(24, "the LED that is lit while the service cannot be reached")
    buzzer_pin: int = pin(0, "the buzzer: one beep for known, two for unknown")
    bounce: float = setting(0.05, "seconds that edges of one press may lie apart", low=0.001, high=1)
    hold: float = setting(3.0, "seconds of a press that shuts down", low=0.5)
    on_hold: str = setting("exit", "what shuts down: exit, this program; poweroff, the machine, where installed")
    show: float = setting(3.0, "seconds that the LED of an answer is lit", low=0.1, high=60)

    def __post_init__(self) -> None:
        for f in fields(self):
            _check(f.name, getattr(self, f.name), f.type, f.metadata)
        if not _is_address(self.url):
            raise BadSettings(f"url is http://HOST:8000 or https://HOST, not {self.url!r}")
        if not (self.api_key.isascii() and self.api_key.isprintable() and " " not in self.api_key):
            raise BadSettings("api_key is of visible ASCII characters: copy it from the service's settings")
        for name, words in CHOICES.items():
            if (word := getattr(self, name)) not in words:
                raise BadSettings(f"{name} is {' or '.join(words)}, not {word!r}")
        _refuse_shared_pins(self)

    @property
    def folder(self) -> Path:
        """Raises `BadSettings` where nobody knows whose home is meant."""
        try:
            return Path(self.data).expanduser()
        except RuntimeError as e:
            raise BadSettings(f"data is {self.data}: {e}; name a folder without ~") from None

    @property
    def spool(self) -> Path:
        return self.folder / "spool"


def load(file: Path | None, options: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """The settings of the file, over them the options that are given, and the key of the environment.

    No file: that of the installation, if there is one. Raises `BadSettings`.
    """
    place = file or PLACE
    told = _read(place) if file or place.exists() else {}
    told |= {name: value for name, value in options.items() if value is not None}
    if key := environ.get(KEY_VARIABLE):
        told["api_key"] = key
    known = {f.name: f.type for f in fields(Settings)}
    if strange := sorted(told.keys() - known.keys()):
        raise BadSettings(f"{place}: there is no setting {strange[0]}, but {', '.join(sorted(known))}")
    settings = Settings(**{name: _as_seconds(value, known[name]) for name, value in told.items()})
    return replace(settings, url=settings.url.rstrip("/"))


def _as_seconds(value: Any, kind: Any) -> Any:
    """A whole number will do where seconds are asked for."""
    return float(value) if kind is float and type(value) is int else value


def _read(place: Path) -> dict[str, Any]:
    try:
        with place.open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise BadSettings(f"{place} is not TOML: {e}") from None
    except OSError as e:
        why = (
            "run this with sudo, or as its owner" if isinstance(e, PermissionError) else "name another with --settings"
        )
        raise BadSettings(f"{place} cannot be read ({e.strerror}): {why}") from None


def _check(name: str, value: Any, kind: Any, bounds: Mapping[str, Any]) -> None:
    if type(value) is not kind:
        raise BadSettings(f"{name} is {KINDS[kind]}, not {value!r}")
    if bounds["low"] is not None and not bounds["low"] <= value <= (bounds["high"] or sys.maxsize):
        most = f" to {bounds['high']}" if bounds["high"] else ""
        raise BadSettings(f"{name} is {value}: it is from {bounds['low']}{most}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # The port is looked at when it is asked for.
        is_whole = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        return False
    is_clean = url.isprintable() and " " not in url and not parts.query and not parts.fragment
    return is_whole and is_clean and parts.scheme in ("http", "https")


def _refuse_shared_pins(settings: Settings) -> None:
    taken: dict[int, str] = {}
    for name in (f.name for f in fields(settings) if f.name.endswith("_pin")):
        number = getattr(settings, name)
        if number and number in taken:
            raise BadSettings(f"{taken[number]} and {name} are both {number}: a pin is for one thing")
        taken[number] = name

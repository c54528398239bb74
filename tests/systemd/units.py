"""The units as systemd reads them: a name may stand several times."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

SYSTEMD = Path(__file__).parent.parent.parent / "systemd"
SERVICES = sorted(path.name for path in SYSTEMD.glob("*.service"))

Section = Mapping[str, list[str]]


def read(name: str) -> Mapping[str, Section]:
    """By section and name, the values in their order."""
    sections: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in (SYSTEMD / name).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            sections[section][key].append(value)
    return sections


def service(name: str) -> Section:
    return read(name)["Service"]


def only(section: Section, key: str) -> str:
    (value,) = section[key]
    return value


def seconds(section: Section, key: str) -> float:
    """Written in plain seconds, as everywhere here."""
    return float(only(section, key))

"""The settings file: every setting as a comment with its default, and single values of it set, for `install.sh`.

`python -m pi_uploader.settings_file FILE [--url URL] [--data FOLDER] …` writes to standard output what FILE becomes; if
there is none, a new one. The key is taken from the environment alone.
"""

import argparse
import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pi_uploader.settings import KEY_VARIABLE, BadSettings, Settings

HEADER = """\
# Settings of pi_uploader, in TOML. A line that begins with # is a comment, and shows a default: to set another, remove
# the #. Then: systemctl restart pi_uploader. This file holds a key, and is root's and the group's alone.
"""
#: Those that an installation sets.
SET = ("url", "data", "on_hold")


def example() -> str:
    """A file that sets nothing."""
    parts = [HEADER]
    parts += [f"# {f.metadata['help']}\n#{f.name} = {written(f.default)}\n" for f in fields(Settings)]
    return "\n".join(parts)


def written(value: Any) -> str:
    """A value as TOML has it, whose strings and numbers are JSON's."""
    return json.dumps(value, ensure_ascii=False)


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """The file with these set, each where it stood, be it as a comment; all else is as it was.

    Raises `BadSettings` if it could not be used then.
    """
    for name, value in values.items():
        text = with_line(text, name, f"{name} = {written(value)}")
    check(text, values)
    return text


def with_line(text: str, name: str, line: str) -> str:
    """In place of what sets it, else of what shows its default, else in front."""
    for sign in ("", r"#\s*"):
        # As a function, since a backslash in a replacement means something.
        changed, found = re.subn(rf"^{sign}{name}\s*=.*$", lambda _: line, text, count=1, flags=re.MULTILINE)
        if found:
            return changed
    return f"{line}\n{text}"


def check(text: str, values: Mapping[str, Any]) -> None:
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise BadSettings(f"the settings file would not be TOML: {e}; correct it by hand") from None
    if missed := [name for name, value in values.items() if told.get(name) != value]:
        raise BadSettings(f"the settings file sets {missed[0]} in a way of its own: change it by hand")
    Settings(**{name: told[name] for name in values})


def main() -> None:
    parser = argparse.ArgumentParser(prog="settings_file", description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    for name in SET:
        parser.add_argument(f"--{name}")
    options = vars(parser.parse_args())
    file = options.pop("file")
    values = {name: value for name, value in options.items() if value is not None}
    if key := os.environ.get(KEY_VARIABLE):
        values["api_key"] = key
    try:
        sys.stdout.write(with_values(file.read_text("utf-8") if file.exists() else example(), values))
    except BadSettings as e:
        sys.exit(f"settings: {e}")


if __name__ == "__main__":
    main()

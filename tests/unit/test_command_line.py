"""`facefleet` itself: what it says of its commands, and what it imports for that."""

import json
import subprocess
import sys

from click.testing import CliRunner

from facefleet.cli.__main__ import COMMANDS, main

#: Asks for help in this process, and tells what was imported for it.
HELPED = """
import json, sys
from facefleet.cli.__main__ import main
main(["--help"], standalone_mode=False)
print(json.dumps(sorted({"boto3", "numpy", "onnxruntime", "openstack", "requests", "rich"} & sys.modules.keys())))
"""


def test_each_command_is_listed_with_what_it_does_on_one_line() -> None:
    said = CliRunner().invoke(main, ["--help"]).output.splitlines()
    for name, (_, does) in COMMANDS.items():
        assert any(line.split()[:1] == [name] and line.endswith(does) for line in said), name


def test_its_help_is_there_at_once() -> None:
    """All commands' modules take two seconds to import."""
    done = subprocess.run([sys.executable, "-c", HELPED], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout.splitlines()[-1]) == []

"""The machine image, made by packer in a small cloud: what tests and benches boot is what `ami/` builds."""

import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from bench.emulators import REGION, ROOT
from bench.region import Region

TEMPLATE = ROOT / "ami" / "facefleet.pkr.hcl"
#: Seconds; it takes one and a half minutes on two cores that nobody else uses.
PATIENCE = 600.0
#: What packer says at its end, on a line of its own for machines: https://developer.hashicorp.com/packer/docs/commands
MADE = "artifact,0,id,"
#: Instances of a small cloud see no index of packages.
OFFLINE = ("PIP_NO_INDEX=1", "PIP_FIND_LINKS=/srv/wheels")
#: packer looks every 15 seconds, which is for clouds that take minutes; and asks its maker whether it is the newest.
QUICK = {"AWS_POLL_DELAY_SECONDS": "1", "AWS_MAX_ATTEMPTS": "300", "CHECKPOINT_DISABLE": "1"}
LAST_WORDS = 3000


def build_image(region: Region, *, log: Path | None = None) -> str:
    """The id of the image that packer made of this checkout, what is not committed included.

    `log`: where its words go. Raises `RuntimeError` with the last of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "facefleet.tar.gz"
        pack(archive)
        said = _packer(region, archive)
    if log is not None:
        log.write_text(said)
    ids = [line.partition(MADE)[2] for line in said.splitlines() if MADE in line]
    if not ids:
        raise RuntimeError(f"packer made no image: {said[-LAST_WORDS:]}")
    return ids[0].rpartition(":")[2]


def pack(archive: Path) -> None:
    """The project as it lies here, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607  # wherever it is
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
        timeout=PATIENCE,
    )
    with tarfile.open(archive, "w:gz", compresslevel=1) as made:
        for name in sorted(filter(None, listed.stdout.split("\0"))):
            # What is removed and not committed yet is listed, too.
            if (ROOT / name).is_file():
                made.add(ROOT / name, name)


def _packer(region: Region, archive: Path) -> str:
    variables = {
        "archive": archive,
        "endpoint": region.env["AWS_ENDPOINT_URL_EC2"],
        "region": REGION,
        "ssh_interface": "private_ip",
        "environment": "[" + ", ".join(f'"{one}"' for one in OFFLINE) + "]",
    }
    given = [f"-var={name}={value}" for name, value in variables.items()]
    done = subprocess.run(  # noqa: S603  # our own template, and no shell
        ["packer", "build", "-machine-readable", *given, TEMPLATE],  # noqa: S607  # Debian's
        env=os.environ | dict(region.env) | QUICK,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    return done.stdout

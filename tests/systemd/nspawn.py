"""A machine whose network is the host's: servers on loopback are reached both ways."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from bench.nspawn import Machine, cannot, mount_disk, mount_memory

__all__ = ["DEBIAN", "PACKAGES", "PROJECT", "Machine", "cannot", "machine"]

ROOT = Path(__file__).parent.parent.parent
DEBIAN = ROOT / ".machines" / "root"
#: Where the project and its libraries are seen inside, instead of being installed from the network each time.
PROJECT, PACKAGES = "/srv/facefleet", "/srv/packages"


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Debian with Python, and ours as installed; not booted yet, gone at the end."""
    assert DEBIAN.is_dir(), "no Debian to boot: run `make .machines/root` once"
    console = folder.with_name(f"{folder.name}-console")
    mount_memory(folder)
    disk = mount_disk(folder, [DEBIAN])
    (disk / "etc/machine-id").write_text(f"{uuid4().hex}\n")
    packages = ROOT / ".venv/lib/python3.11/site-packages"
    options = (f"--bind-ro={ROOT}:{PROJECT}", f"--bind-ro={packages}:{PACKAGES}")
    made = Machine(f"test-{os.getpid()}", disk, console, options=options)
    try:
        yield made
    finally:
        made.crash()
        for mounted in (disk, folder):
            subprocess.run(["umount", mounted], check=True, timeout=60)  # noqa: S607  # Debian's

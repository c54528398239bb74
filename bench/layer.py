"""What `ami/install.sh image` writes above Debian, for clouds of this machine whose images are layers of a disk."""

import shutil
from pathlib import Path

from bench.image import OFFLINE, pack
from bench.nspawn import Machine, mount_disk, run
from bench.region import DEBIAN, WHEELS

#: Seconds; it takes one and a half minutes on two cores that nobody else uses.
PATIENCE = 600.0
HERE = "/root/facefleet"


def image_layer(folder: Path) -> Path:
    """The folder of what was written, to lie above `bench.region.DEBIAN`; the folder may not be on an overlay itself.

    Needs root, and `make .machines/root .machines/wheels`.
    """
    folder.mkdir(parents=True)
    disk = mount_disk(folder, [DEBIAN])
    options = ("--private-network", "--resolv-conf=off", f"--bind-ro={WHEELS}:/srv/wheels")
    machine = Machine("image", disk, folder / "console", options=options)
    try:
        pack(disk / "root" / "facefleet.tar.gz")
        machine.boot()
        machine.run("mkdir", HERE)
        machine.run("tar", "-xzf", "/root/facefleet.tar.gz", "-C", HERE)
        machine.run("env", *OFFLINE, f"{HERE}/ami/install.sh", "image", seconds=PATIENCE)
        machine.run("rm", "-r", HERE, "/root/facefleet.tar.gz")
        machine.power_off()
    finally:
        machine.crash()
        run("umount", str(disk))
    shutil.rmtree(folder / "work")
    return folder / "upper"

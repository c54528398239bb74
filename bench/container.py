"""The container images, built and run on this machine without Docker: by buildah, and as strictly as Lambda runs them.

Needs root. Images, and the layers that the next build need not make again, lie in `.machines/containers`.
"""

import configparser
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MACHINES = ROOT / ".machines"
#: Debian, as `make .machines/root` leaves it.
DEBIAN = MACHINES / "root"
STORAGE = MACHINES / "containers"
BASE = "localhost/facefleet-base:bookworm"
#: Seconds: everything is fetched and made, on a machine that is busy.
BUILDING = 500.0
#: Images, with those in between that the next build begins with: some 30 are of one tree.
MANY = 120
#: Nobody in the image, as who runs a function in Lambda is, whatever user the image names.
LAMBDAS = "993:990"
#: The root is read-only, and beside it there is what every container has. Of this environment the image is told what is
#: AWS's and ours. Ends as the program itself, under the same process id.
ENTER = """
set -eu
root=$1 user=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/random" c 1 8
# Lambda has no shared memory.
[ "$user" = 993:990 ] || mkdir -m 1777 "$root/dev/shm"
for name in $(env | grep -oE '^((AWS|FACEFLEET|POWERTOOLS)_[A-Z0-9_]*|IDEMPOTENCY_TABLE|DEAD_QUEUE|API_KEY_SECRET)'); do
  set -- "$name=$(printenv "$name")" "$@"
done
exec chroot --userspec="$user" "$root" /usr/bin/env -i "$@"
"""


@dataclass(frozen=True)
class Image:
    """A built image whose files lie in `root`, and what it says of itself. `size`: of its files, in bytes."""

    root: Path
    user: str
    size: int
    settings: Mapping[str, Any]

    @property
    def env(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.settings["Env"])

    @property
    def command(self) -> list[str]:
        return [*self.settings["Entrypoint"], *self.settings["Cmd"]]

    def entry(self, *command: str, **env: str) -> tuple[str, ...]:
        """What starts a process in it, by default its own.

        It may write nowhere but to `/tmp`, which is empty. It shares the network with this machine.
        """
        told = {"HOME": "/tmp"} | self.env | env  # noqa: S108  # the image's
        inside = [*(f"{name}={value}" for name, value in told.items()), *self._at_home(command or self.command)]
        return ("unshare", "--mount", "sh", "-c", ENTER, "sh", str(self.root), self.user, *inside)

    def _at_home(self, command: Iterable[str]) -> Iterator[str]:
        yield from ("/usr/bin/env", f"--chdir={self.settings.get('WorkingDir') or '/'}")
        yield from command

    def run(self, *command: str, seconds: float = 60.0) -> "subprocess.CompletedProcess[str]":
        """What a process of it said, once it has ended; raises `subprocess.TimeoutExpired`."""
        return subprocess.run(  # noqa: S603  # the image's own, and no shell for it
            self.entry(*command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
        )


def cannot() -> str:
    """Why images cannot be built here; empty where they can."""
    if os.geteuid() != 0:
        return "only root can enter an image"
    if missing := [tool for tool in ("buildah", "unshare") if shutil.which(tool) is None]:
        return f"{missing[0]} is not installed: apt-get install buildah"
    if not DEBIAN.is_dir():
        return "no Debian to build on: make .machines/root"
    return ""


@contextmanager
def built(target: str, folder: Path) -> Iterator[Image]:
    """The image, from the tree as it is now; its files are there until the end. `folder`: for what builds it."""
    env = os.environ | _storage(folder) | {"BUILDER": "buildah", "BUILDAH_ISOLATION": "chroot"}
    name = f"localhost/facefleet-{target}:bench"
    _make_base(folder, env)
    _forget_old(env)
    command = [ROOT / "deploy" / "build.sh", "--base", BASE, target, name, "--", *_as_this_machine(folder)]
    _said(command, env, seconds=BUILDING)
    about = json.loads(_said(["buildah", "inspect", "--type", "image", name], env))["Docker"]["config"]
    with _laid_open(name, folder, env) as root:
        size = sum(path.lstat().st_size for path in root.rglob("*"))
        yield Image(root, LAMBDAS if target == "function" else about["User"], size, about)


@contextmanager
def _laid_open(name: str, folder: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """The folder with the image's files."""
    container = _said(["buildah", "from", name], env)
    root = Path(tempfile.mkdtemp(dir=folder))
    try:
        # Once more, for us: another's command may take away what buildah mounts.
        _said(["mount", "--bind", _said(["buildah", "mount", container], env), root], env)
        try:
            yield root
        finally:
            _said(["umount", "--lazy", root], env)
    finally:
        _said(["buildah", "rm", container], env)


def _storage(folder: Path) -> dict[str, str]:
    """Of this tree alone, whatever else the machine does with containers."""
    # What is mounted is noted there, for all who use the same images.
    notes = Path("/run") / f"facefleet-{sha256(bytes(STORAGE)).hexdigest()[:12]}"
    settings = folder / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{STORAGE}"\nrunroot = "{notes}"\n')
    return {"CONTAINERS_STORAGE_CONF": str(settings)}


def _forget_old(env: Mapping[str, str]) -> None:
    """Layers of trees that are gone, once there are many."""
    if len(_said(["buildah", "images", "--all", "--quiet"], env).splitlines()) > MANY:
        _said(["buildah", "rmi", "--prune", "--force"], env, seconds=BUILDING)


def _make_base(folder: Path, env: Mapping[str, str]) -> None:
    if BASE in _said(["buildah", "images", "--format", "{{.Name}}:{{.Tag}}"], env).splitlines():
        return
    packed = folder / "base.tar"
    what = ("--one-file-system", "--exclude=./var/cache/*", ".")
    _said(["tar", f"--directory={DEBIAN}", "--create", f"--file={packed}", *what], env, seconds=BUILDING)
    container = _said(["buildah", "from", "scratch"], env)
    try:
        _said(["buildah", "add", container, packed, "/"], env, seconds=BUILDING)
        _said(["buildah", "commit", container, BASE], env, seconds=BUILDING)
    finally:
        _said(["buildah", "rm", container], env)
        packed.unlink()


def _as_this_machine(folder: Path) -> Iterator[str]:
    """pip finds what it finds on this machine: where that is said to it is nothing of the image's."""
    told = configparser.ConfigParser(interpolation=None)
    told["global"] = {}
    for line in _said([sys.executable, "-m", "pip", "config", "list"], os.environ).splitlines():
        name, _, value = line.partition("=")
        if name.startswith("global."):
            told["global"][name.removeprefix("global.")] = value.strip("'\"")
    settings = folder / "pip.conf"
    with settings.open("w") as file:
        told.write(file)
    yield f"--volume={settings}:/etc/pip.conf:ro"
    for value in told["global"].values():
        for word in value.split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.exists():
                # An index of files names them from beside it.
                path = path.parent if path.name == "simple" else path
                yield f"--volume={path}:{path}:ro"


def _said(command: list[Any], env: Mapping[str, str], *, seconds: float = 60.0) -> str:
    """Raises `RuntimeError` with the end of what it complained of."""
    done = subprocess.run(  # noqa: S603  # our own commands, and no shell
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout.strip()

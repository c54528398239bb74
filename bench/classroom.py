"""The course's hundred clips through a private cloud: bucket, relay, servers of OpenStack, and home as files.

    python -m bench.classroom --clips DIR [--most 4] [--stranger-rate 0.05] [--json]

DIR is that of `bench.video`. Needs root, and `make openstack`: the control plane is keystone, placement, glance,
neutron and nova as Debian has them. Its hypervisor is nova's fake one; behind each server that is ACTIVE is a machine
that systemd boots, from the image that `ami/install.sh` makes. The relay runs on one of them, as its user data says,
and has a fleet recognise; the controller, beside, launches workers' servers as the backlog deserves. S3, SQS and
DynamoDB are an emulator's. Everything else is done by the command line, as an operator does it.

`right` of `total`: files in the relay's folder, held against the mapping; `spelling`: told, and right. `most_up`:
workers' servers that were ACTIVE at once; `left`: those there at the end; `queued`: messages and dead letters that
stay. `…_by_relay`: as `facefleet relay status` tells, on the server that it runs on.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from openstack.connection import Connection

from bench.emulators import Site, store
from bench.layer import image_layer
from bench.local import as_ours, awaited
from bench.nspawn import mount_memory, run
from bench.openstack_making import IMAGE
from bench.openstack_plane import plane
from bench.server_machines import Machines, machines
from bench.server_states import Wish
from bench.servers import Watcher, watched
from bench.told import tell
from bench.video import STRANGER_RATE
from facefleet.backends import connect
from facefleet.backends.aws.relay import connect as connect_relay
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

#: Seconds; a hundred clips take a minute and a half on two cores.
PATIENCE = 600.0
#: Where the unit's settings say that files go.
RESULTS = "var/lib/facefleet/results"
CLOUD, FLAVOR, OUTPUT = "demo", "small", "out"


@dataclass
class Private:
    """`env`: the operator's. `relay`: the id of the server that it runs on."""

    folder: Path
    env: dict[str, str]
    servers: Machines
    watcher: Watcher
    nova: Connection
    relay: str = ""

    def facefleet(self, *command: str) -> str:
        """What the command line says; raises `RuntimeError` with what it complains of."""
        done = subprocess.run(  # noqa: S603  # our own command, and no shell
            [sys.executable, "-m", "facefleet.cli", *command],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if done.returncode not in (0, 1) or not done.stdout:
            raise RuntimeError(f"facefleet {' '.join(command[:2])} failed: {done.stderr[-2000:]}")
        return done.stdout

    @property
    def results(self) -> Path:
        """The relay's folder, as this machine sees it."""
        machine = self.servers.machine(self.relay)
        if machine is None:
            raise RuntimeError("the relay's server has no machine")
        return machine.disk / RESULTS

    def files(self) -> int:
        return len(list(self.results.glob("*.txt"))) if self.results.is_dir() else 0

    def workers(self) -> list[Any]:
        """Servers that are not the relay's."""
        return [one for one in self.nova.compute.servers() if one.id != self.relay]

    def most_up(self) -> int:
        """Of workers' servers at once."""
        up: set[str] = set()
        most = 0
        for event in self.watcher.events:
            if event.wish is Wish.UP and event.server != self.relay:
                up.add(event.server)
            else:
                up.discard(event.server)
            most = max(most, len(up))
        return most

    def relay_told(self) -> dict[str, Any]:
        machine = self.servers.machine(self.relay)
        if machine is None:
            raise RuntimeError("the relay's server has no machine")
        words = ". /etc/facefleet/facefleet.env; set +a; exec /opt/facefleet/bin/facefleet relay status --json"
        said = machine.run("sh", "-c", f"set -a; FACEFLEET_DATA=/var/lib/facefleet; {words}")
        return dict(json.loads(said))


@contextmanager
def private(folder: Path, most: int, strangers: float) -> Iterator[Private]:
    """A cloud of one's own, empty but for the relay; all of it ends with the block."""
    image = folder / "image"
    image.mkdir()
    with ExitStack() as ending:
        mount_memory(image)
        ending.callback(run, "umount", str(image))
        layer = image_layer(image / "made")
        cloud = ending.enter_context(plane(folder))
        servers = ending.enter_context(machines(folder, layers=[layer]))
        account = ending.enter_context(store(site=Site(host=servers.router)))
        admin = ending.enter_context(cloud.connect("admin"))
        watcher = ending.enter_context(watched(admin, servers, held=cloud.held))
        ours = settings(folder, most, strangers)
        env = {**os.environ, **account.env, **cloud.env, **ours}
        env["NO_PROXY"] = f"{cloud.env['NO_PROXY']},{servers.router}"
        ending.enter_context(as_ours(env))
        made = Private(folder, env, servers, watcher, ending.enter_context(cloud.connect(CLOUD)))
        made.facefleet("setup", "--yes")
        made.facefleet("relay", "setup", "--yes")
        write_user_data(folder / "worker.json", "workers", account.env, ours)
        begin_relay(made, account.env, ours)
        ending.enter_context(controller(made))
        yield made


def settings(folder: Path, most: int, strangers: float) -> dict[str, str]:
    named = {
        "BACKEND": "aws",
        "DATA": str(folder / "data"),
        "FLEETS": f"openstack:{most}",
        "OPENSTACK_CLOUD": CLOUD,
        "OPENSTACK_IMAGE": IMAGE,
        "OPENSTACK_FLAVORS": FLAVOR,
        "OPENSTACK_NETWORKS": "none",
        "OPENSTACK_USER_DATA": str(folder / "worker.json"),
        "RELAY_BY": "fleet",
        "POLICY": "classic",
        "WARM_POOL": "0",
        "SCALE_IN_AFTER": "2",
        "LEAST_BILL": "0",
        "STRANGER_RATE": str(strangers),
    }
    return {f"{PREFIX}{name}": value for name, value in named.items()}


def write_user_data(path: Path, tier: str, account: Mapping[str, str], ours: Mapping[str, str]) -> bytes:
    """As `deploy/openstack/README.md` has it."""
    own = ("DATA", "OPENSTACK_", "FLEETS")
    shared = {name: value for name, value in ours.items() if not name.removeprefix(PREFIX).startswith(own)}
    keys = {name: account[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    there = {name: value for name, value in account.items() if name not in keys}
    path.touch(mode=0o600)
    path.write_text(json.dumps({"tier": tier, "settings": shared | there, "keys": keys}))
    return path.read_bytes()


def begin_relay(made: Private, account: Mapping[str, str], ours: Mapping[str, str]) -> None:
    data = write_user_data(made.folder / "relay.json", "relay", account, ours)
    image = made.nova.image.find_image(IMAGE, ignore_missing=False)
    flavor = made.nova.compute.find_flavor(FLAVOR, ignore_missing=False)
    server = made.nova.compute.create_server(
        name="relay",
        image_id=image.id,
        flavor_id=flavor.id,
        networks="none",
        user_data=base64.b64encode(data).decode(),
    )
    made.relay = server.id
    awaited(lambda: _is_active(made), "the relay's unit is active", seconds=PATIENCE, every=0.5)


def _is_active(made: Private) -> bool:
    machine = made.servers.machine(made.relay)
    if machine is None or machine.init is None:
        return False
    try:
        return machine.shows("facefleet-relay.service", "ActiveState") == "active"
    except RuntimeError:
        return False


@contextmanager
def controller(made: Private) -> Iterator[None]:
    with (made.folder / "controller.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "controller"], env=made.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def queued() -> int:
    """Messages that lie in the relay's queues and the workers', dead letters among them."""
    settings = Settings.from_env(os.environ)
    backend, relay = connect(settings), connect_relay(settings)
    relays = [relay.queue(name) for name in (settings.relay_input, f"{settings.relay_input}-dead")]
    return sum(queue.depth().backlog for queue in (backend.requests, backend.dead, *relays))


def measure(clips: Path, most: int, strangers: float) -> dict[str, Any]:
    encodings = next(one for one in (clips / "encoding", clips / "encoding.safe.json") if one.exists())
    mapping = str(clips / "mapping")
    with tempfile.TemporaryDirectory() as name, private(Path(name), most, strangers) as made:
        made.facefleet("roster", "encodings", str(encodings), "--store", "--yes")
        made.facefleet("roster", "load", str(clips / "student_data.json"), "--store", "--yes")
        results, began = made.folder / "results.csv", time.monotonic()
        sent = ("--videos", "--entrance", "bucket", "--clear", "--yes", "--mapping", mapping, "--out", str(results))
        made.facefleet("load", str(clips), *sent, "--json")
        wanted = len(results.read_text().splitlines()) - 1
        awaited(lambda: made.files() >= wanted, f"{wanted} files at home", seconds=PATIENCE, every=0.2)
        seconds = time.monotonic() - began
        verdict = json.loads(made.facefleet("verify", str(made.results), mapping, "--json"))
        files = made.files()
        awaited(lambda: not made.workers(), "no worker's server is left", seconds=PATIENCE, every=0.5)
        told = made.relay_told()
        return {
            "clips": wanted,
            "files": files,
            "right": verdict["right"],
            "total": verdict["expected"],
            "spelling": len(verdict["spelling"]),
            "seconds": round(seconds, 1),
            "most_up": made.most_up(),
            "left": len(made.workers()),
            "queued": queued(),
            "done_by_relay": told["done"],
            "failed_by_relay": told["failed"],
        }


@click.command(help=__doc__)
@click.option("--clips", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--most", default=4, show_default=True, type=click.IntRange(1, 50), help="Workers' servers at once.")
@click.option("--stranger-rate", "strangers", default=STRANGER_RATE, show_default=True, type=float)
@click.option("--json", "as_json", is_flag=True)
def main(*, as_json: bool, **options: Any) -> None:
    tell("a private cloud's hundred clips", measure(**options), as_json=as_json)


if __name__ == "__main__":
    main()

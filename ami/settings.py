"""`python -m ami.settings`: at each boot, makes the machine the tier that its user data names, and starts it.

Writes `/etc/facefleet/facefleet.env`, and for the web tier `/etc/caddy/Caddyfile`. A worker waits for this: nothing is
imported on its way but what Python starts fast with.
"""

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ami import metadata
from ami.caddyfile import caddyfile
from ami.userdata import UserData, read
from facefleet.errors import BadSettings, ServiceError

#: sysexits.h, EX_CONFIG, as `facefleet.entry` has it, which would import too much here.
EXIT_FAILED, EXIT_UNUSABLE = 1, 78
ETC = Path("/etc")
SYSTEMCTL = "/usr/bin/systemctl"
#: Made with the image, so that no worker has to.
MODELS = {"FACEFLEET_MODELS": "/opt/facefleet/models"}
PORT = "8000"
UNITS = {
    "web": ("facefleet-web.service",),
    "controller": ("facefleet-controller.service",),
    "workers": ("facefleet-workers.target",),
    "relay": ("facefleet-relay.service",),
}
#: What the web tier has beside it where it has an address of its own.
AT_AN_ADDRESS = (
    "facefleet-caddy.service",
    # Once, and then whenever there is something new.
    "facefleet-certificates.service",
    "facefleet-certificates.path",
    "facefleet-address.service",
)
#: When a machine that stays boots again, if a security update needs it; clocks are in UTC. A worker does not.
REBOOTS = {"controller": "03:30", "web": "04:00", "relay": "03:45"}


def main() -> None:
    try:
        heard = metadata.user_data()
        told = read(heard.data, may_hold_keys=heard.is_novas)
        if told is None:
            sys.stderr.write("facefleet: user data names no tier, so none is started: see ami/README.md\n")
            return
        write(told, ETC)
    except ServiceError as e:
        sys.stderr.write(f"facefleet: {e}\n")
        sys.exit(EXIT_UNUSABLE if isinstance(e, BadSettings) else EXIT_FAILED)
    sys.stderr.write(f"facefleet: this machine is of the tier {told.tier}\n")
    sys.stderr.flush()
    # It takes over this process: whether it could be asked is how the unit ends. It waits for nothing.
    os.execv(SYSTEMCTL, [SYSTEMCTL, "start", "--no-block", *units_of(told)])  # noqa: S606  # there is no shell in it


def units_of(told: UserData) -> tuple[str, ...]:
    return UNITS[told.tier] + (AT_AN_ADDRESS if told.address else ())


def write(told: UserData, etc: Path) -> None:
    """Raises `BadSettings` and `Unavailable`."""
    settings = MODELS | dict(told.settings) | dict(told.keys)
    if told.secret:
        # boto3 takes longer to import than all else here.
        from ami.secret import api_keys

        settings["FACEFLEET_API_KEYS"] = api_keys(told.secret, region=settings.get("AWS_DEFAULT_REGION"))
    if told.address:
        _replace(etc / "caddy/Caddyfile", caddyfile(told.address, settings.get("FACEFLEET_PORT", PORT)), 0o644)
    if told.tier in REBOOTS:
        _replace(etc / "apt/apt.conf.d/91facefleet", reboots_at(REBOOTS[told.tier]), 0o644)
    # Who may read it is the folder's group; what came with keys of a cloud, root alone, who starts what uses them.
    _replace(etc / "facefleet/facefleet.env", environment(settings), 0o600 if told.keys else 0o640)


def reboots_at(time: str) -> str:
    """As unattended-upgrades reads it."""
    return f'Unattended-Upgrade::Automatic-Reboot "true";\nUnattended-Upgrade::Automatic-Reboot-Time "{time}";\n'


def environment(settings: Mapping[str, str]) -> str:
    """As systemd reads it: https://www.freedesktop.org/software/systemd/man/252/systemd.exec.html#EnvironmentFile="""
    return "".join(f"{name}={_quoted(value)}\n" for name, value in sorted(settings.items()))


def _quoted(value: str) -> str:
    escaped = "".join(f"\\{sign}" if sign in '\\"$`' else sign for sign in value)
    return f'"{escaped}"'


def _replace(path: Path, text: str, mode: int) -> None:
    """Beside, then renamed: whoever reads it finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    group = path.parent.stat().st_gid
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
        file.flush()
        os.fchown(file.fileno(), -1, group)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    Path(file.name).replace(path)


if __name__ == "__main__":
    main()

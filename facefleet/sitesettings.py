"""Settings of a site beside AWS: clouds that instances are had from, OpenStack's own, and the relay's."""

import re
from dataclasses import dataclass
from pathlib import Path

from facefleet.errors import BadSettings
from facefleet.settingtext import PREFIX, setting

#: Where instances may be had, and how a number of them is written.
CLOUDS = ("openstack", "ec2")
MOST = re.compile("[1-9][0-9]{0,4}")
#: How a server of OpenStack waits in the warm pool: `shelve` frees its host, and takes longer to start.
RESTS = ("stop", "shelve")
#: Who recognises what the relay is told of.
WAYS = ("function", "fleet", "itself")
INVOCATIONS = ("sync", "async")
#: Lambda's own limit of a call: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LONGEST_CALL = 900.0


@dataclass(frozen=True, slots=True)
class SiteSettings:
    fleets: str = setting(
        "",
        "clouds that instances are had from, one's own first, and how many of each at most: `openstack:5,ec2:19`; "
        "empty: the backend's own",
    )
    openstack_cloud: str = setting(
        "", "the cloud's name in `clouds.yaml`; empty: what `OS_CLOUD` or the other `OS_` variables say"
    )
    openstack_image: str = setting("facefleet-worker", "on OpenStack, name or id of the image servers are made from")
    openstack_flavors: str = setting("m1.small", "on OpenStack, flavors, best first: `m1.small,m1.medium`")
    openstack_zones: str = setting("", "on OpenStack, availability zones, best first; empty: any")
    openstack_networks: str = setting(
        "", "on OpenStack, networks of a server: names or ids, or `none`; empty: the project's own"
    )
    openstack_key: str = setting("", "on OpenStack, the key pair that servers are made with; empty: none")
    openstack_groups: str = setting("", "on OpenStack, security groups of servers; empty: the project's default")
    openstack_user_data: Path | None = setting(
        None, "on OpenStack, a file that each server is given as user data; empty: none"
    )
    openstack_rest: str = setting("stop", "on OpenStack, how servers wait in the warm pool: `stop` or `shelve`")
    relay_by: str = setting("function", "who recognises what the relay is told of: `function`, `fleet` or `itself`")
    relay_function: str = setting("facefleet-function", "the function that the relay calls, by name or ARN")
    relay_invocation: str = setting(
        "sync", "how it is called: `sync`, and its answer awaited, or `async`, and Lambda tries again where it fails"
    )
    relay_input: str = setting("facefleet-arrivals", "the queue that S3 tells the relay of objects by")
    relay_output: str = setting(
        "", "the queue of results that the relay brings home; empty: the response queue, as the function's"
    )
    relay_folder: Path = setting(Path("results"), "where the relay writes a file for each result")
    relay_concurrency: int = setting(10, "objects that the relay has recognised at the same time", low=1, high=1000)
    relay_tries: int = setting(5, "times the relay tries an object before it lies with the dead letters", low=1)
    relay_timeout: float = setting(
        90.0, "seconds that the relay waits for an object to be recognised", low=1, high=LONGEST_CALL
    )

    @property
    def clouds(self) -> dict[str, int]:
        """How many instances at most of each cloud, one's own first; empty where the backend's own is all.

        Raises `BadSettings`.
        """
        parts = [part.strip().partition(":") for part in self.fleets.split(",")] if self.fleets.strip() else []
        clouds = {name: int(most) for name, _, most in parts if name in CLOUDS and MOST.fullmatch(most)}
        if len(clouds) < len(parts):
            raise BadSettings(
                f"{PREFIX}FLEETS names each cloud once, {' or '.join(CLOUDS)}, and how many instances of it at most, "
                f"1 or more: `openstack:5,ec2:19`, not {self.fleets!r}"
            )
        return clouds

    @property
    def asks_ec2(self) -> bool:
        """Whether instances may be had from EC2, where the backend is AWS. Raises `BadSettings`."""
        return not self.clouds or "ec2" in self.clouds

    def check_site(self) -> None:
        """Raises `BadSettings` for a word that is none of its setting's."""
        choices = {"OPENSTACK_REST": RESTS, "RELAY_BY": WAYS, "RELAY_INVOCATION": INVOCATIONS}
        for name, known in choices.items():
            if (value := getattr(self, name.lower())) not in known:
                raise BadSettings(f"{PREFIX}{name} is {' or '.join(known)}, not {value!r}")

"""The network of a region: a router that all machines hang on, in a network namespace of its own.

A machine's address stands alone (/32), so that neighbours too meet over the router: what it translates on the way
there, it translates on the way back. An Elastic IP is such a translation; a connection in hand stays where it is when
one moves, as on EC2.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.nspawn import run

#: Regions of this machine at a time: each has a share of TEST-NET-3, <https://www.rfc-editor.org/rfc/rfc5737>
MOST_REGIONS = 8
ELASTIC_EACH = 256 // MOST_REGIONS
#: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>
METADATA = "169.254.169.254"
#: The last number of a machine's address. Below is the router, above is who made the region.
FIRST_MACHINE, LAST_MACHINE, OUTSIDE = 10, 250, 254
RULES = """
table ip region {{
  map elastic {{ type ipv4_addr : ipv4_addr; }}
  chain before {{
    type nat hook prerouting priority dstnat;
    dnat to ip daddr map @elastic
    dnat ip prefix to ip daddr map {{ {auto} : {private} }}
  }}
  chain after {{
    type nat hook postrouting priority srcnat;
    ip saddr . ip daddr {{ {itself} }} masquerade
  }}
}}
"""
#: `init` of the region: what is orphaned there is reaped, and all ends with the standard input.
INIT = """
set -e
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
ip -batch - <<'END'
{ip}
END
nft -f - <<'END'
{nft}
END
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 0 > /proc/sys/net/ipv4/conf/all/send_redirects
# Else what is translated on the bridge goes by it, and never back to whom it came from.
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables; fi
trap '' CHLD
echo ready
exec cat
"""


@dataclass(frozen=True)
class Network:
    """That of the region of this number."""

    number: int

    @property
    def router(self) -> str:
        return self.private(1)

    @property
    def link(self) -> str:
        """The network interface of who made it."""
        return f"region{self.number}"

    def private(self, last: int) -> str:
        return f"10.66.{self.number}.{last}"

    def auto(self, last: int) -> str:
        """What EC2 calls a public address: it leads to the machine whose own ends alike, as long as it runs."""
        return f"198.18.{self.number}.{last}"

    def elastic(self) -> Iterator[str]:
        """All Elastic IPs that there are to give."""
        first = self.number * ELASTIC_EACH
        return (f"203.0.113.{last}" for last in range(first + 1, first + ELASTIC_EACH - 1))

    @property
    def networks(self) -> tuple[str, str, str]:
        """Elastic, public and private ones."""
        elastic = f"203.0.113.{self.number * ELASTIC_EACH}/27"
        return elastic, f"{self.auto(0)}/24", f"{self.private(0)}/24"

    def init(self) -> str:
        """What a shell does in new namespaces to make it, as their first process. It says that it is ready."""
        elastic, auto, private = self.networks
        itself = (f"{self.private(last)} . {self.private(last)}" for last in range(FIRST_MACHINE, LAST_MACHINE))
        commands = (
            "link set lo up",
            # With an address of its own: else it takes one of its ports', another when that goes, and nobody finds it.
            "link add hub address 02:66:00:00:00:01 type bridge",
            "link set hub up",
            f"addr add {self.router}/32 dev hub",
            f"addr add {METADATA}/32 dev hub",
            f"route add {private} dev hub",
            # What leads to no machine is never answered, as on EC2.
            f"route add blackhole {elastic}",
            f"route add blackhole {auto}",
        )
        rules = RULES.format(auto=auto, private=private, itself=", ".join(itself))
        return INIT.format(ip="\n".join(commands), nft=rules)

    def connect(self, pid: int) -> None:
        """From here to there; `pid` is that of its first process. The link goes when it goes."""
        name, address = self.link, self.private(OUTSIDE)
        inside = f"nsenter --target={pid} --net -- ip link set up dev {name} master hub"
        commands = (
            f"link add {name} type veth peer name {name} netns {pid}",
            f"link set {name} up",
            f"addr add {address}/32 dev {name}",
            f"route add {self.router}/32 dev {name}",
            *(f"route add {network} via {self.router} src {address}" for network in self.networks),
        )
        batch(commands)
        run(*inside.split())

    def plug_in(self, machine: str, last: int) -> None:
        """A network namespace for a machine, with that address; for who is within the region."""
        batch(
            (
                f"netns add {machine}",
                f"link add m{last} type veth peer name host0 netns {machine}",
                f"link set m{last} up master hub",
            )
        )
        commands = (
            "link set lo up",
            "link set host0 up",
            f"addr add {self.private(last)}/32 dev host0",
            f"route add {self.router} dev host0",
            f"route add default via {self.router}",
        )
        batch(commands, namespace=machine)


def unplug(machine: str) -> None:
    run("ip", "netns", "delete", machine)


def lead(addresses: Mapping[str, str]) -> None:
    """Elastic IPs and the private addresses that they lead to: these, and no others."""
    elements = ", ".join(f"{elastic} : {private}" for elastic, private in addresses.items())
    added = f"add element ip region elastic {{ {elements} }}\n" if elements else ""
    run("nft", "-f", "-", given=f"flush map ip region elastic\n{added}")


def batch(commands: tuple[str, ...], *, namespace: str = "") -> None:
    """Several commands of `ip`, in one process."""
    where = ("-n", namespace) if namespace else ()
    run("ip", *where, "-batch", "-", given="\n".join(commands) + "\n")

"""A deployment taken away: first what launches, then what was launched, then all else, and of people last."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from facefleet.backends.aws.account.buckets import Bucket
from facefleet.backends.aws.account.canaries import CANARY
from facefleet.backends.aws.account.deployment import Account, told_before
from facefleet.backends.aws.account.looks import looks
from facefleet.backends.aws.account.queues import standing_replies
from facefleet.backends.aws.account.resources import Step, Verb, resources
from facefleet.backends.aws.account.serverless_destruction import has_people, of_function
from facefleet.backends.aws.account.tables import Table
from facefleet.backends.aws.faults import translated
from facefleet.backends.aws.instances import FLEET, LIVING, find
from facefleet.errors import Unavailable
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

#: Seconds for machines to go: each drains first, and its network interface follows.
PATIENCE = 900.0
#: Seconds until EC2 knows nothing any more of what was deleted.
GONE_WITHIN = 60.0
DEPLOYMENT = "facefleet:deployment"
#: What EC2 has of a deployment: by which call it is told, under which word, by which name.
KINDS = (
    ("describe_vpcs", "Vpcs", "VpcId"),
    ("describe_subnets", "Subnets", "SubnetId"),
    ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("describe_route_tables", "RouteTables", "RouteTableId"),
    ("describe_security_groups", "SecurityGroups", "GroupId"),
    ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    ("describe_addresses", "Addresses", "AllocationId"),
    ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    ("describe_volumes", "Volumes", "VolumeId"),
)


def settings_of(told: tuple[Mapping[str, str], Mapping[str, str]], env: Mapping[str, str]) -> Settings:
    """What the deployment was told; what no stack says any more, the environment does."""
    ours = {name: value for name, value in env.items() if name.startswith(PREFIX)}
    return Settings.from_env(ours | told_before(told) | {f"{PREFIX}BACKEND": "aws"})


def demolition(account: Account, settings: Settings) -> tuple[Step, ...]:
    """Of what is there, a step each, in order. What holds people's data, or is told of by what does, says so."""
    return (*of_function(account), *_of_machines(account, settings), *_of_stores(account, settings))


def _of_machines(account: Account, settings: Settings) -> Iterable[Step]:
    groups = _groups(account)
    if groups:
        yield _step(f"groups {', '.join(groups)}", partial(_end_groups, account, groups))
    # None of theirs is seen before the controller is gone, which may launch another.
    if groups or _launched(account, settings):
        yield _step("instances of the fleet", partial(_end_launched, account, settings))
    if account.fleet.is_there():
        yield _step(f"stack {account.fleet.name}", account.fleet.remove)
    for queue in standing_replies(account.clients.sqs, settings.response_queue):
        yield _step(queue.what, queue.remove)


def _of_stores(account: Account, settings: Settings) -> Iterable[Step]:
    """What keeps the stack from being removed, then the stack. Only what is its own is touched, whatever is named."""
    members = account.store.members()
    for one in resources(account.clients, settings) if members else ():
        is_there = one.what.partition(" ")[2] in members and one.found() is not None
        if is_there and isinstance(one, Bucket):
            yield _step(f"all that is in {one.what}", one.empty, holds_people=True)
        elif is_there and isinstance(one, Table):
            yield _step(f"protection of {one.what}", one.unprotect, holds_people=True)
    if account.store.is_there():
        yield _step(f"stack {account.store.name}", account.store.remove, holds_people=True)


def _step(what: str, act: Callable[[], None], *, holds_people: bool = False) -> Step:
    return Step(what, Verb.REMOVE, {}, None, act, holds_people)


def _groups(account: Account) -> list[str]:
    names = [f"{account.name}-{tier}" for tier in ("controller", "web")]
    with translated("looking for the groups"):
        found = account.clients.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=names)
    return [group["AutoScalingGroupName"] for group in found["AutoScalingGroups"]]


def _end_groups(account: Account, groups: list[str]) -> None:
    """The controller's machine, so that nobody launches any more, and the web tier's; each drains."""
    autoscaling = account.clients.autoscaling
    for group in groups:
        with translated(f"emptying the group {group}"):
            autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, MinSize=0, DesiredCapacity=0)
    for _ in looks(PATIENCE):
        with translated("looking who is in the groups"):
            told = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=groups)["AutoScalingGroups"]
        left = [one["InstanceId"] for group in told for one in group["Instances"]]
        if not left:
            return
    raise Unavailable(f"{', '.join(left)} did not end in {PATIENCE:.0f} s: look at them, then try again")


def _launched(account: Account, settings: Settings) -> list[str]:
    """Workers, in the pool too, and those that try an image: in the deployment's own network, nobody else's."""
    subnets = [id for id, kind in account.fleet.members().items() if kind == "AWS::EC2::Subnet"]
    if not subnets:
        return []
    ours = {"subnet-id": subnets, "instance-state-name": LIVING}
    tags = {f"tag:{FLEET}": [settings.instance_name]}, {f"tag:{CANARY}": [settings.instance_name]}
    return sorted({id for tag in tags for id in find(account.clients.ec2, ours | tag)})


def _end_launched(account: Account, settings: Settings) -> None:
    left: list[str] = []
    for _ in looks(PATIENCE):
        # Again each time: the controller's last launch may be seen late.
        left = _launched(account, settings)
        if not left:
            return
        with translated("ending the fleet's instances"):
            account.clients.ec2.terminate_instances(InstanceIds=left)
    raise Unavailable(f"{', '.join(left)} did not end in {PATIENCE:.0f} s: look at them, then try again")


def leftovers(account: Account, *, everything: bool) -> tuple[str, ...]:
    """What EC2 still knows by the deployment's tag a while later, and which of the stacks that should be gone stand."""
    left: tuple[str, ...] = ()
    for _ in looks(GONE_WITHIN):
        left = (*_tagged(account), *_standing(account, everything=everything))
        if not left:
            break
    return left


def _tagged(account: Account) -> Iterable[str]:
    ec2, ours = account.clients.ec2, [{"Name": f"tag:{DEPLOYMENT}", "Values": [account.name]}]
    with translated("looking for what is left"):
        for describe, many, id in KINDS:
            for one in getattr(ec2, describe)(Filters=ours)[many]:
                # A machine is told of for an hour after its end: its disk and its network are what would be paid for.
                yield one[id]


def _standing(account: Account, *, everything: bool) -> Iterable[str]:
    stacks = [account.fleet, *([account.store] if everything else [])]
    if everything or not has_people(account):
        stacks.append(account.serverless)
    return [f"stack {stack.name}" for stack in stacks if stack.is_there()]

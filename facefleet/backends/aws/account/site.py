"""A deployment on the account, as a roll sees and changes it: a stack, two groups of one machine, an address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from facefleet import keys
from facefleet.backends.aws.account.canaries import Canaries
from facefleet.backends.aws.account.launching import VERSION, Templates
from facefleet.backends.aws.account.leads import Leads
from facefleet.backends.aws.account.resources import Verb as Planned
from facefleet.backends.aws.account.rollout import PAIR, Action, Canary, Group, Machine, Verb, World
from facefleet.backends.aws.account.stack_told import Standing
from facefleet.backends.aws.account.stack_watch import Tell
from facefleet.backends.aws.account.stacks import Stack
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.faults import translated
from facefleet.backends.aws.instances import find
from facefleet.errors import Conflict, NotFound

NOBODY = Group((), desired=1)
#: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
IN_SERVICE, GOING = "InService", ("Terminating", "Terminated", "Detach", "Quarantined")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stack as it is to be."""

    template: str
    parameters: Mapping[str, str]


@dataclass
class AwsSite:
    """`before`: where a roll that fails goes back to. `ask(proof)`: what is wrong with the public URL, in words.

    `proof`: what is to be proved by an upload, the same for the same upload; empty: that it is ready is enough.
    """

    clients: Clients
    stack: Stack
    wanted: Wanted
    before: Wanted | None
    state_bucket: str
    canaries: Canaries
    ask: Callable[[str], str]
    tell: Tell = lambda _: None
    _fits: bool | None = None
    _has_changed: bool = False
    _proved: str = ""
    _have_had: frozenset[str] = frozenset()
    _agreed: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        self._templates = Templates(self.clients.ec2)
        self._leads = Leads(self.clients.s3, self.state_bucket)

    def note(self, *, fits: bool) -> None:
        """Somebody has just planned the stack: it is as wanted, or not."""
        self._fits = fits

    # What is seen

    def look(self) -> World:
        standing = self.stack.found()
        if standing is None:
            return World(False, True, NOBODY, NOBODY)
        told, fits = standing.outputs, self._as_wanted()
        if "WebGroup" not in told:
            return World(fits, True, NOBODY, NOBODY)
        if fits:
            self._refuse_another(standing.parameters)
        webs, controllers = self._group(told, "Web"), self._group(told, "Controller")
        address = self._holder(told["AllocationId"])
        return World(
            fits,
            self._templates.default_fits(told["WorkerTemplate"]),
            controllers,
            webs,
            canary=self._canary(),
            address=address,
            have_had=self._seen_with(address),
            stands_by=self._stands_by(controllers),
            leads=self._leads.now(controllers, has_changed=self._has_changed),
            trouble=self._trouble(webs, address),
        )

    def _as_wanted(self) -> bool:
        if self._fits is None:
            planned = self.stack.plan(self.wanted.template, self.wanted.parameters)
            self.stack.drop(planned)
            self._fits = planned.verb is Planned.FINE
        return self._fits

    def _refuse_another(self, parameters: Mapping[str, str]) -> None:
        """Raises `Conflict` where the stack was as wanted, and somebody has changed it since."""
        self._agreed = self._agreed or parameters
        if parameters != self._agreed:
            raise Conflict(
                f"somebody else changed the stack {self.stack.name} in the middle of this, and goes on with it: see "
                "what they want, and try again once they are done"
            )

    def _group(self, told: Mapping[str, str], tier: str) -> Group:
        name, template = told[f"{tier}Group"], told[f"{tier}Template"]
        with translated(f"looking at the group {name}"):
            groups = self.clients.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        group: Mapping[str, Any] = next(iter(groups["AutoScalingGroups"]), {})
        states = {one["InstanceId"]: one["LifecycleState"] for one in group.get("Instances", ())}
        standing = [id for id, state in states.items() if not state.startswith(GOING)]
        machines = [
            Machine(
                one.instance.id,
                self._templates.fits(template, one.tags.get(VERSION, "")),
                one.state == "running" and states[one.instance.id] == IN_SERVICE,
                one.instance.launched_at,
            )
            for one in (find(self.clients.ec2, {"instance-id": standing}).values() if standing else ())
            if one.state in ("pending", "running")
        ]
        return Group(tuple(sorted(machines, key=lambda one: one.launched_at)), group.get("DesiredCapacity", 1))

    def _holder(self, allocation: str) -> str:
        with translated("looking who has the address"):
            addresses = self.clients.ec2.describe_addresses(AllocationIds=[allocation])["Addresses"]
        return str(addresses[0].get("InstanceId") or "")

    def _seen_with(self, holder: str) -> frozenset[str]:
        self._have_had |= {holder} - {""}
        return self._have_had

    def _canary(self) -> Canary:
        return self.canaries.seen(self.wanted.parameters["Image"])

    def _stands_by(self, controllers: Group) -> bool:
        """Whether a controller has come up since the first machine that is as wanted was launched."""
        if not (controllers.fresh and controllers.stale):
            return False
        try:
            with translated("looking whether the new controller has come up"):
                found = self.clients.s3.head_object(Bucket=self.state_bucket, Key=keys.CAME)
        except NotFound:
            return False
        # S3 tells whole seconds.
        return bool(found["LastModified"].timestamp() >= int(controllers.fresh[0].launched_at))

    def _trouble(self, webs: Group, address: str) -> str:
        holder = webs.holder(address)
        if holder is None or not (holder.fits and holder.is_up):
            return "not asked"
        # Two of them: somebody began with it, and nobody knows whether this one has answered anything.
        is_new = self._has_changed or len(webs.machines) > 1
        trouble = self.ask(holder.id if is_new and self._proved != holder.id else "")
        if not trouble:
            self._proved = holder.id
        return trouble

    # What is done

    def do(self, action: Action) -> None:
        self._has_changed = True
        deeds: Mapping[Verb, Callable[[str], None]] = {
            Verb.LAUNCH_CANARY: lambda _: self._launch_canary(),
            Verb.END_CANARY: lambda _: self.canaries.end(),
            Verb.UPDATE: lambda _: self._update(),
            Verb.SET_DEFAULT: lambda _: self._templates.make_default(self._told("WorkerTemplate")),
            Verb.GROW: lambda _: self._grow(action),
            Verb.RETIRE: self._retire,
            Verb.MOVE_ADDRESS: self._move_address,
        }
        with translated(f"{action.stage}: {action.verb}"):
            deeds[action.verb](action.subject)

    def turn_back(self) -> str:
        if self.before is None:
            return ""
        image = self.before.parameters["Image"]
        how = "the settings from before" if image == self.wanted.parameters["Image"] else f"--image {image}"
        self.wanted, self.before = self.before, None
        self._fits, self._agreed, self._proved = None, None, ""
        return how

    def _told(self, output: str) -> str:
        return self._standing().outputs[output]

    def _standing(self) -> Standing:
        standing = self.stack.found()
        if standing is None:
            raise NotFound(f"there is no stack {self.stack.name}")
        return standing

    def _launch_canary(self) -> None:
        subnet = self._told("Subnets").partition(",")[0]
        self.canaries.launch(self._told("WorkerTemplate"), self.wanted.parameters["Image"], subnet)

    def _update(self) -> None:
        planned = self.stack.plan(self.wanted.template, self.wanted.parameters)
        if planned.verb is not Planned.FINE:
            self.stack.carry_out(planned, self.tell)
        self._fits = True

    def _grow(self, action: Action) -> None:
        tier = "Web" if "web" in action.stage else "Controller"
        standing = self._standing().outputs
        wanted = min(PAIR, len(self._group(standing, tier).machines) + 1)
        self.clients.autoscaling.set_desired_capacity(
            AutoScalingGroupName=standing[f"{tier}Group"], DesiredCapacity=wanted
        )

    def _retire(self, id: str) -> None:
        # Its shutdown drains it.
        self.clients.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=id, ShouldDecrementDesiredCapacity=True
        )

    def _move_address(self, id: str) -> None:
        allocation = self._told("AllocationId")
        self.clients.ec2.associate_address(AllocationId=allocation, InstanceId=id, AllowReassociation=True)

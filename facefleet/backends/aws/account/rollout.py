"""Which step comes next on the way to machines that are as the stack says: decided from what is seen, and nothing else.

So a run that was killed is gone on with by the next one, and the way back is the same way to another end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

#: What a group has while one machine takes over from another, and no more.
PAIR = 2


class Canary(StrEnum):
    """A worker from a new image, beside the fleet, that shows whether the image works."""

    NONE = "none"
    COMING = "coming"
    WORKS = "works"
    LOST = "lost"
    #: From another image: somebody tried that one, and did not come to an end.
    OTHER = "other"


class Stage(StrEnum):
    CANARY = "a worker from the new image"
    STACK = "the stack"
    CONTROLLER = "the controller"
    WEB = "the web tier"
    END = "all"


class Verb(StrEnum):
    LAUNCH_CANARY = "launch a worker from the new image"
    END_CANARY = "end the worker that tried the image"
    UPDATE = "update the stack"
    SET_DEFAULT = "have workers launched as the stack says"
    GROW = "launch a machine beside the old one"
    MOVE_ADDRESS = "give the address to"
    RETIRE = "end"
    WAIT = "waiting until"
    #: Something went wrong that no waiting heals.
    GIVE_UP = "give up"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Machine:
    """One of a group. `fits`: it was made as the stack says now. `is_up`: it runs, as far as EC2 knows."""

    id: str
    fits: bool
    is_up: bool
    launched_at: float


@dataclass(frozen=True, slots=True)
class Group:
    """An Auto Scaling group of one: two while it rolls. `machines`: those that are not going, oldest first."""

    machines: tuple[Machine, ...]
    desired: int = 1

    @property
    def fresh(self) -> tuple[Machine, ...]:
        return tuple(one for one in self.machines if one.fits)

    @property
    def stale(self) -> tuple[Machine, ...]:
        return tuple(one for one in self.machines if not one.fits)

    def holder(self, id: str) -> Machine | None:
        return next((one for one in self.machines if one.id == id), None)


@dataclass(frozen=True, slots=True)
class World:
    """What was seen. `stack_fits`: it is as wanted; `default_fits`: workers are launched as it says.

    `address`: the machine that has the public address; `stands_by`: a new controller has come up, and can lead;
    `leads`: the one controller that there is tells a fleet status;
    `have_had`: the machines that were seen with the address before, so that they are known to have been ready.
    `trouble`: why an upload to the public URL is not answered; empty: it is.
    """

    stack_fits: bool
    default_fits: bool
    controllers: Group
    webs: Group
    canary: Canary = Canary.NONE
    address: str = ""
    have_had: frozenset[str] = frozenset()
    stands_by: bool = False
    leads: bool = False
    trouble: str = "not asked"

    @property
    def is_rolled(self) -> bool:
        """Nothing is left of before, so that nobody is about it: what is wrong now, no way back would mend."""
        stale = (*self.controllers.stale, *self.webs.stale)
        return self.stack_fits and self.default_fits and not stale


@dataclass(frozen=True, slots=True)
class Way:
    """`tries`: a new image is tried by one worker first. `back`: what was new did not work."""

    tries: bool = False
    back: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """`subject`: the machine that it is about; of a wait, `why` says for what."""

    verb: Verb
    stage: Stage
    subject: str = ""
    why: str = ""


def decide(world: World, way: Way) -> Action:
    """The one next step; it never leaves the service without a machine that has answered."""
    steps: tuple[Callable[[World, Way], Action | None], ...] = (_rescue, _try, _update, _tidy, _launch_as_said)
    for step in steps:
        if (action := step(world, way)) is not None:
            return action
    return _roll_controller(world) or _roll_web(world) or Action(Verb.DONE, Stage.END)


def _rescue(world: World, way: Way) -> Action | None:
    """Before anything else on the way back: those who call get to the machine that answered them before."""
    holder = world.webs.holder(world.address)
    if not way.back or world.stack_fits or holder is None:
        return None
    older = _older_than(holder, world, world.webs.machines)
    return Action(Verb.MOVE_ADDRESS, Stage.WEB, older.id) if older else None


def _older_than(holder: Machine, world: World, machines: tuple[Machine, ...]) -> Machine | None:
    """One that had the address before the holder took it: it takes nothing back by itself."""
    older = (one for one in machines if one.is_up and one.launched_at < holder.launched_at)
    return next((one for one in older if one.id in world.have_had), None)


def _try(world: World, way: Way) -> Action | None:
    if not way.tries or way.back or world.stack_fits or world.canary is Canary.WORKS:
        return None
    if world.canary is Canary.NONE:
        return Action(Verb.LAUNCH_CANARY, Stage.CANARY)
    if world.canary is Canary.OTHER:
        return Action(Verb.END_CANARY, Stage.CANARY)
    if world.canary is Canary.LOST:
        return Action(Verb.GIVE_UP, Stage.CANARY, why="the worker from the new image ended before it came to work")
    return Action(Verb.WAIT, Stage.CANARY, why="it comes to work")


def _update(world: World, _: Way) -> Action | None:
    return None if world.stack_fits else Action(Verb.UPDATE, Stage.STACK)


def _tidy(world: World, _: Way) -> Action | None:
    if world.canary is Canary.NONE:
        return None
    return Action(Verb.END_CANARY, Stage.CANARY)


def _launch_as_said(world: World, _: Way) -> Action | None:
    return None if world.default_fits else Action(Verb.SET_DEFAULT, Stage.STACK)


def _roll_controller(world: World) -> Action | None:
    group, stage = world.controllers, Stage.CONTROLLER
    if (action := _bring(group, stage, keep="")) is not None:
        return action
    if group.stale and not world.stands_by:
        return Action(Verb.WAIT, stage, group.fresh[-1].id, "it stands by")
    if group.stale:
        # The new one leads as soon as this one has let go.
        return _end(group, group.stale[0], stage)
    if len(group.fresh) > 1:
        return _end(group, group.fresh[-1], stage)
    return None if world.leads else Action(Verb.WAIT, stage, group.fresh[0].id, "it leads")


def _roll_web(world: World) -> Action | None:
    group, stage = world.webs, Stage.WEB
    if (action := _bring(group, stage, keep=world.address)) is not None:
        return action
    holder = group.holder(world.address)
    if holder is None or not (holder.fits and holder.is_up):
        return _hand_over(world, holder)
    if world.trouble:
        return Action(Verb.WAIT, stage, holder.id, f"it answers an upload ({world.trouble})")
    others = [one for one in (*group.stale, *group.fresh) if one is not holder]
    return _end(group, others[0], stage) if others else None


def _hand_over(world: World, holder: Machine | None) -> Action:
    group = world.webs
    if holder is not None and (older := _older_than(holder, world, group.fresh)) is not None:
        return Action(Verb.MOVE_ADDRESS, Stage.WEB, older.id)
    newest = group.fresh[-1]
    if holder is not None and newest.launched_at < holder.launched_at:
        # It takes nothing from one that came after it, and nobody knows whether it could answer: a new one will.
        return _end(group, newest, Stage.WEB)
    if not world.address and newest.id in world.have_had:
        # It went with a machine that ended just after it had taken it. Who had it before took it once, at its boot.
        return Action(Verb.MOVE_ADDRESS, Stage.WEB, newest.id)
    return Action(Verb.WAIT, Stage.WEB, newest.id, "it is ready, and takes the address")


def _bring(group: Group, stage: Stage, *, keep: str) -> Action | None:
    """Towards a machine that is as the stack says, and up; None once there is one. `keep`: this one stays till then."""
    if any(one.is_up for one in group.fresh):
        return None
    if not group.machines and not group.desired:
        # As a removal leaves it that was cut off.
        return Action(Verb.GROW, stage)
    if group.fresh or not group.machines:
        return Action(Verb.WAIT, stage, group.fresh[-1].id if group.fresh else "", "it comes up")
    if len(group.machines) >= PAIR:
        # Left by an earlier try, in the place of the one that is to come.
        return _end(group, next(one for one in reversed(group.machines) if one.id != keep), stage)
    if group.desired < PAIR:
        return Action(Verb.GROW, stage)
    return Action(Verb.WAIT, stage, why="it is launched")


def _end(group: Group, machine: Machine, stage: Stage) -> Action:
    if group.desired < PAIR:
        return Action(Verb.WAIT, stage, machine.id, "its group ends it")
    return Action(Verb.RETIRE, stage, machine.id)

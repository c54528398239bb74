"""The original's rule, made steady: as many instances as messages, within bounds."""

from dataclasses import dataclass, replace

from controller.policy import UP, Observation, Plan, Policy, Terms, idlest
from facefleet.model import Depth, InstanceState


@dataclass(frozen=True, slots=True)
class Peaks:
    """Demands seen, as (time, demand): falling in both, so the first is the peak. Losing it costs a hold time."""

    peaks: tuple[tuple[float, int], ...] = ()

    def seeing(self, demand: int, now: float, hold: float) -> "Peaks":
        """Only what may still be the peak is kept: what is recent, and higher than all that came later."""
        # A clock that was set back leaves peaks of the future, which would hold for as long.
        recent = tuple(p for p in self.peaks if 0 <= now - p[0] <= hold and p[1] > demand)
        return replace(self, peaks=(*recent, (now, demand)))


def decide(seen: Observation, memory: Peaks, terms: Terms, now: float) -> tuple[Plan, Peaks]:
    """Desired = visible + in flight within bounds.

    Out on the newest demand; in only on the highest of the hold time, since counts jump; and what dies meanwhile
    is replaced. Instances on their way up count as capacity, so one burst is not launched twice; those on their way
    out only against the most.
    """
    demand = min(max(seen.depth.backlog, terms.least), terms.most)
    memory = memory.seeing(demand, now, terms.hold)
    desired = memory.peaks[0][1]
    capacity = seen.count(*UP)
    room = max(0, terms.most - capacity - seen.count(InstanceState.DRAINING, InstanceState.STOPPING))
    launch = min(max(0, desired - capacity), room)
    retire = idlest(seen, capacity - desired)
    return Plan(desired, launch, retire, _reason(seen.depth, desired, demand, launch, retire)), memory


def _reason(depth: Depth, desired: int, demand: int, launch: int, retire: tuple[str, ...]) -> str:
    asks = f"backlog {depth.backlog} asks for {demand}"
    if launch:
        return f"{asks}: launching {launch}"
    if retire:
        return f"{asks}, and nothing more did lately: retiring {len(retire)}"
    if desired > demand:
        return f"{asks}: holding {desired} for a while"
    return f"{asks}: nothing to do"


CLASSIC = Policy("classic", decide, Peaks())

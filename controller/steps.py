"""From what a policy wants to what may be asked for: within the most, the budget, and what failed lately."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.backoff import FailedStarts
from controller.ledger import Intent, Learned, Ledger, token_for
from controller.policy import Plan, Terms
from controller.refresh import Upkeep
from facefleet.model import Instance, InstanceState, Start

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: What an offer is left alone for after it had no capacity: what GitHub's and Karpenter's scalers wait, too.
#: https://github.com/aws/karpenter-provider-aws/blob/main/pkg/cache/cache.go (UnavailableOfferingsTTL)
EXCLUDED_FOR = 180.0
#: And after its cloud did not answer, which lists tell of as well.
DOUBTED_FOR = 60.0
#: A launch is refused when less than so many seconds of an instance are left of the budget.
LEAST_BUDGET = 60.0
#: Seconds from launch to the first answer on EC2, cold, as measured in 2021.
EC2_BOOT = 25.0
OVER_BUDGET = "the budget of this hour is used up"
#: So many are tried at a time while none comes to work: with one, a single misfortune would look like everybody's.
TRIAL = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What no policy may pass. `pool`: whose instances they are; `log`: where to look when they never come to work.

    `launches_per_tick`: most at one look. `budget`: instance-seconds an hour; `price`: of an instance-hour. `pending`,
    `draining`: seconds that are allowed in these states; `boot`: seconds that an instance takes to come, as long as
    nobody has measured it. `warm_least`: instances to have, stopped or up, so that a burst finds that many.
    """

    pool: str = "facefleet"
    launches_per_tick: int = 50
    budget: float | None = None
    pending: float = 600.0
    draining: float = 600.0
    boot: float = EC2_BOOT
    price: float = 0.0
    log: str = ""
    warm_least: int = 0


@dataclass(frozen=True, slots=True)
class Clamped:
    """How many may come, and why not more, in words; empty where nothing speaks against it."""

    count: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy wants, how much of it may come, and what is done beside it."""

    plan: Plan
    may_come: Clamped = Clamped(0)
    upkeep: Upkeep = Upkeep()

    @property
    def in_words(self) -> Plan:
        """The plan as it is done, with why that is less, or more, than was wanted."""
        plan, also = self.plan, self.upkeep
        reason = "; ".join(filter(None, (plan.reason, also.why, self.may_come.why)))
        retire, end = plan.retire + also.retire, plan.end + also.end
        return Plan(plan.desired, self.may_come.count, retire, reason, end)


def clamp(
    plan: Plan, seen: Mapping[InstanceState, int], learned: Learned, terms: Terms, limits: Limits, now: float
) -> Clamped:
    """How much of the plan's launch is allowed now."""
    room = terms.most - sum(seen[state] for state in (PENDING, RUNNING, DRAINING, STOPPING))
    wanted = max(0, min(plan.launch, room))
    if not wanted:
        return Clamped(0)
    starts, refused = learned.starts, learned.backoffs.get("launch")
    trial = max(0, TRIAL - seen[PENDING])
    if starts.step and (now < starts.until or not trial):
        return Clamped(0, never_came(starts, limits.log))
    if refused is not None and now < refused.until:
        return Clamped(0, "launches wait: the last was refused, or its outcome is not known")
    may_come = _within_budget(min(wanted, limits.launches_per_tick), learned, terms, limits)
    if starts.step:
        return Clamped(min(may_come.count, trial), may_come.why or never_came(starts, limits.log))
    return may_come


def _within_budget(wanted: int, learned: Learned, terms: Terms, limits: Limits) -> Clamped:
    if limits.budget is None:
        return Clamped(wanted)
    left = limits.budget - learned.bill.hour
    count = max(0, min(wanted, int(left // max(terms.least_bill, LEAST_BUDGET))))
    return Clamped(count, "" if count == wanted else OVER_BUDGET)


def never_came(starts: FailedStarts, log: str) -> str:
    look = f"; see {log}" if log else ""
    return f"{starts.count} in a row never came to work: others are tried after {starts.pause:.1f} s{look}"


def to_start(instances: Iterable[Instance], excluded: Container[str], count: int, new: int = 0) -> list[Instance]:
    """Of the warm pool the newest, of which most is still warm, and stale ones last.

    `new`: for so many of them rather nobody than a stale one.
    """
    stopped = [one for one in instances if one.state is STOPPED and one.id not in excluded]
    stopped.sort(key=lambda one: (one.is_stale, -one.since, one.id))
    fresh = sum(not one.is_stale for one in stopped)
    return stopped[: max(min(count, fresh), count - new)]


def start_intents(chosen: Sequence[Instance], ledger: Ledger, now: float) -> list[Intent]:
    return [
        Intent(one.token, ledger.members[one.id].slot, "", now, Start.POOL, one.id, rank=one.rank) for one in chosen
    ]


def launch_intents(
    ledger: Ledger, offer: str, count: int, terms: Terms, limits: Limits, now: float, rank: int = 0
) -> list[Intent]:
    """One for each of the lowest slots that nobody holds."""
    held = {m.slot for m in ledger.members.values()} | {i.slot for i in ledger.intents}
    # Where the ledger was lost, a token tells.
    tokens = {m.token for m in ledger.members.values()}
    intents: list[Intent] = []
    for slot in range(1, terms.most + len(ledger.members) + 1):
        if len(intents) == count:
            break
        token = token_for(limits.pool, slot, ledger.attempts.get(slot, 0), offer)
        if slot not in held and token not in tokens:
            intents.append(Intent(token, slot, offer, now, rank=rank))
    return intents


def without_expired(exclusions: Mapping[str, float], now: float) -> Mapping[str, float]:
    """The same where none has expired."""
    if all(now < until for until in exclusions.values()):
        return exclusions
    return {name: until for name, until in exclusions.items() if now < until}

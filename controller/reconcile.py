"""One tick: observe, decide, clamp, act, tell. What it must not forget it saves before it asks for it."""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from controller.act import Actor, Save
from controller.backoff import Backoff, Chance
from controller.ledger import Learned, Ledger, load_memory, serving
from controller.notices import Notices
from controller.observe import Observer
from controller.policy import Plan, Policy, Terms
from controller.refresh import TRIAL, Sight, Upkeep, sight_of, tried, upkeep
from controller.remedies import PATIENCE, Allowed, overdue
from controller.status import Status
from controller.steps import Clamped, Decision, Limits, clamp, without_expired
from facefleet.errors import Conflict, ServiceError
from facefleet.model import Depth, Heartbeat, Instance, InstanceState, Start
from facefleet.ports import Fleet

log = logging.getLogger(__name__)

#: The ledger is saved this often even when nothing changed: that renews the lease, and keeps what was learned.
RENEW = 20.0
HOUR = 3600.0
UNREADABLE = "the fleet cannot be listed: nothing is done"
HOLDING = "the queue cannot be read: holding"
NO_CAPACITY = "no capacity is to be had for now: others are asked for in some minutes"


class Controller:
    """`tick` acts, `look` only says what it would do. Everything outside is handed in; `now` may be any clock's."""

    def __init__(
        self,
        depth: Callable[[], Depth],
        fleet: Fleet,
        heartbeats: Callable[[], tuple[Heartbeat, ...]],
        save: Save,
        tell: Callable[[Status], None],
        policy: Policy[Any],
        terms: Terms,
        limits: Limits,
        *,
        ledger: Ledger | None = None,
        chance: Chance = random.random,
        assure: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`assure` is called before each write to the fleet; it raises `Conflict` where another controller leads.

        `clock` says how long a tick takes, which `now` does not.
        """
        self.ledger = ledger or Ledger()
        self._read_depth, self._save, self._tell = depth, save, tell
        self._policy, self._terms, self._limits = policy, terms, limits
        self._fleet = fleet
        self._observer = Observer(fleet, heartbeats, terms, limits, chance, self.ledger)
        self._actor = Actor(fleet, terms, limits, chance, self.ledger, assure, clock)
        self._memory = load_memory(policy, self.ledger.learned)
        self._saved, self._saved_at = self.ledger, float("-inf")
        self._notices = Notices()
        self._depth: Depth | None = None
        self._plan = Plan(0, 0, (), "")
        self._decisions: Counter[str] = Counter()

    def tick(self, now: float) -> Plan:
        """What was done; raises `Conflict` if another controller leads now, and nothing else that the outside does."""
        self._actor.calls.begin()
        self._mind_the_clock(now)
        try:
            decision = self._decided(now)
        except ServiceError as e:
            self._actor.calls.note(e)
            plan = replace(self._plan, launch=0, retire=(), end=(), reason=UNREADABLE)
        else:
            if self._depth is not None:
                self._notices.say(self._depth, self._counts(), decision.may_come, self._terms, now)
            self._act(decision, now)
            plan = decision.in_words
        self._conclude(plan, now)
        return plan

    def _mind_the_clock(self, now: float) -> None:
        """A clock that was set back leaves times of the future behind, for which everything would wait."""
        if now >= self._observer.bill.at:
            return
        log.warning("the clock was set back: what was remembered by time is forgotten")
        self.ledger = self.ledger.not_after(now)
        self._memory = self._policy.fresh
        self._observer.forget_times(now)
        self._actor.forget_times()

    def look(self, now: float) -> Plan:
        """What would be done; raises `ServiceError` where the fleet cannot be read."""
        return self._decided(now).in_words

    def _decided(self, now: float) -> Decision:
        roll = self._observer.look(self.ledger, now)
        self._actor.exclusions = without_expired(self._actor.exclusions, now)
        self.ledger = replace(roll.ledger, learned=self._learned())
        self._depth = self._readable_depth()
        if self._depth is None:
            return Decision(replace(self._plan, launch=0, retire=(), end=(), reason=HOLDING))
        sight = sight_of(roll.instances, self.ledger, self._observer.workers)
        seen = self._observer.observation(self._depth, sight.for_policy())
        plan, self._memory = self._policy.decide(seen, self._memory, self._terms, now)
        also = self._upkeep(sight, plan, self._depth, now)
        wanted = replace(plan, launch=plan.launch - len(also.serve) + also.make)
        may_come = clamp(wanted, self._counts(), self.ledger.learned, self._terms, self._limits, now)
        self._actor.look(roll.instances, self.ledger)
        if may_come.count and not self._actor.choice.is_any(self.ledger):
            may_come = Clamped(0, NO_CAPACITY)
        return Decision(plan, may_come, also)

    def _upkeep(self, sight: Sight, plan: Plan, depth: Depth, now: float) -> Upkeep:
        calls, least = self._actor.calls, self._limits.warm_least if self._fleet.can_rest else 0
        if TRIAL in calls.backoffs and (not sight.stale or sight.is_proven):
            calls.backoffs = {verb: backoff for verb, backoff in calls.backoffs.items() if verb != TRIAL}
        may_try = now >= calls.backoffs.get(TRIAL, Backoff()).until
        return upkeep(sight, plan, depth, self._terms, least, may_try=may_try)

    def _learned(self) -> Learned:
        seen, actor = self._observer, self._actor
        return Learned(
            self._policy.name,
            self._memory,
            seen.estimates,
            seen.bill,
            seen.starts,
            actor.calls.backoffs,
            actor.exclusions,
        )

    def _readable_depth(self) -> Depth | None:
        try:
            return self._read_depth()
        except ServiceError as e:
            self._actor.calls.note(e)
            return None

    def _counts(self) -> Mapping[InstanceState, int]:
        states = [one.state for one in self._observer.roll.instances]
        return {state: states.count(state) for state in InstanceState}

    def _act(self, decision: Decision, now: float) -> None:
        listed, actor, plan, also = self._observer.listed, self._actor, decision.plan, decision.upkeep
        actor.forget(self.ledger)
        overdue = self._overdue(listed, now)
        leaving = (*plan.retire, *also.retire, *plan.end, *overdue)
        before = actor.dismissed(serving(self.ledger, also.serve), leaving, now)
        ledger = self._kept(self._asking(before, decision, now), before, now)
        actor.end((*plan.end, *also.end, *overdue), now)
        actor.retire(listed, ledger, now)
        self.ledger = actor.come(ledger, lambda new, old: self._kept(new, old, now), now)

    def _asking(self, ledger: Ledger, decision: Decision, now: float) -> Ledger:
        """With what is to come, by the plan or beside it."""
        actor, also, count = self._actor, decision.upkeep, decision.may_come.count
        if not count:
            return ledger
        if also.tries:
            calls = actor.calls
            calls.backoffs = {**calls.backoffs, TRIAL: tried(calls.backoffs.get(TRIAL, Backoff()), now)}
        made = min(also.make, count)
        if made:
            ledger = actor.choice.making(ledger, made, now, tries=also.tries)
        return actor.asking(ledger, count - made, now, new=also.new)

    def _overdue(self, listed: Sequence[Instance], now: float) -> list[str]:
        """Those to be ended; who never came to work is one more failed start."""
        members, observer = self.ledger.members, self._observer
        patience = max(self._limits.pending, PATIENCE * max(observer.estimates.boot(kind).mean for kind in Start))
        allowed = Allowed(patience, self._limits.draining)
        known_since = {**self._actor.draining_since, **observer.stopping_since}
        late = overdue(listed, self.ledger, known_since, allowed, observer.watching_since, now)
        for id in late:
            if not (members[id].heard or members[id].going_since):
                observer.gave_up(members[id].asked_at, now)
        return late + observer.silent(now)

    def _kept(self, ledger: Ledger, before: Ledger, now: float) -> Ledger:
        """Saved, if that is due. What could not be saved is not asked for: then the ledger is as before."""
        if ledger.is_as(self._saved) and 0 <= now - self._saved_at < RENEW:
            return ledger
        try:
            self._save(replace(ledger, learned=self._learned()))
        except Conflict:
            raise
        except ServiceError as e:
            self._actor.calls.note(e)
            # Where we cannot write, workers cannot either, and are silent through no fault of their own.
            self._observer.watching_since = now
            return before
        self._saved, self._saved_at = ledger, now
        return ledger

    def _conclude(self, plan: Plan, now: float) -> None:
        decision = _word_for(plan)
        if decision != "none":
            if plan.reason != self._plan.reason:
                log.info("%s", plan.reason)
            self._decisions[decision] += 1
        self._plan = plan
        try:
            self._tell(self._status(plan, decision, now))
        except ServiceError as e:
            self._actor.calls.note(e)
            self._observer.watching_since = now

    def _status(self, plan: Plan, decision: str, now: float) -> Status:
        observer = self._observer
        return Status(
            now,
            self._policy.name,
            self._counts(),
            plan.desired,
            self._terms.most,
            plan.reason,
            decision,
            self._depth,
            observer.workers,
            observer.boots,
            self._actor.calls.errors,
            self._decisions,
            observer.bill.total,
            observer.bill.total / HOUR * self._limits.price,
            self._actor.calls.done,
            sum(one.is_stale for one in observer.roll.instances),
            self._actor.choice.by_cloud(),
            self._actor.choice.homes(),
        )


def _word_for(plan: Plan) -> str:
    if plan.reason in (UNREADABLE, HOLDING):
        return "hold"
    return "launch" if plan.launch else "retire" if plan.retire or plan.end else "none"

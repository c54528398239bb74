"""Doing what was planned: each launch and each start is saved before it is asked for, and asked for until answered."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from controller.backoff import Chance
from controller.calls import Answer, Calls, Reply
from controller.choice import Choice, choice_of
from controller.ledger import Intent, Ledger, used_up
from controller.policy import UP, Terms
from controller.remedies import END_EVERY
from controller.steps import DOUBTED_FOR, EXCLUDED_FOR, Limits
from facefleet.model import Instance, Start
from facefleet.ports import Fleet

#: Keeps a ledger; raises `Conflict` if another controller has done so since, and this one must stop.
Save = Callable[[Ledger], None]
#: Intents by name, each with its answer; None for one that came to nothing.
Answers = dict[str, Intent | None]
OfEach = dict[str, Answer]
#: A stopped instance that so many starts in a row have not brought up is left alone: one whose key is gone, say.
MOST_REFUSALS = 3


class Actor:
    """Remembers what it asked for, as long as it lives; what must outlive it stands in the ledger."""

    def __init__(
        self,
        fleet: Fleet,
        terms: Terms,
        limits: Limits,
        chance: Chance,
        ledger: Ledger,
        assure: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet = fleet
        self._terms = terms
        self._limits = limits
        self.calls = Calls(chance, assure, clock)
        self.calls.backoffs = ledger.learned.backoffs
        self.exclusions = ledger.learned.exclusions
        # Whoever saved these may have asked for them, and died before the answer.
        self._tried = {intent.name for intent in ledger.intents}
        self._seen = choice_of(fleet, (), ledger, terms, limits)
        self._ranks: Mapping[str, int] = {}
        self._ended: dict[str, float] = {}
        self._retired: dict[str, float] = {}
        #: How often in a row nobody knew what came of asking this one alone.
        self._refusals: Counter[tuple[str, str]] = Counter()
        #: When those that are listed as running on were first told to drain, whether they could be or not.
        self.draining_since: dict[str, float] = {}

    def dismissed(self, ledger: Ledger, ids: Iterable[str], now: float) -> Ledger:
        """With these on their way out. One that nobody has asked for yet is not asked for at all."""
        leaving = set(ids)
        if not leaving:
            return ledger
        members = ledger.members
        if staying := [id for id in leaving & members.keys() if not members[id].going_since]:
            members = {**members, **{id: replace(members[id], going_since=now) for id in staying}}
        if not any(intent.name in leaving for intent in ledger.intents):
            return ledger if members is ledger.members else replace(ledger, members=members)
        intents = tuple(
            replace(intent, unwanted=True) if intent.name in leaving else intent
            for intent in ledger.intents
            if intent.name not in leaving or intent.answered_at or intent.name in self._tried
        )
        return replace(ledger, members=members, intents=intents)

    def look(self, seen: Sequence[Instance], ledger: Ledger) -> None:
        """What there is to choose from, from now on."""
        self._seen = choice_of(self._fleet, seen, ledger, self._terms, self._limits)
        self._ranks = {one.id: one.rank for one in seen}

    @property
    def choice(self) -> Choice:
        # One that was ended may be listed as stopped for a while.
        return replace(self._seen, excluded=frozenset(self.exclusions.keys() | self._ended.keys()))

    def asking(self, ledger: Ledger, count: int, now: float, *, new: int = 0) -> Ledger:
        """With so many more asked for.

        `new`: so many of them are rather launched than stale, as long as launches succeed.
        """
        starts = ledger.learned.starts
        troubled = "launch" in self.calls.backoffs or starts.step
        # While none comes to work, each cloud has its turn: it may be one's own that brings none.
        return self.choice.asking(ledger, count, 0 if troubled else new, now, turn=starts.step)

    def end(self, ids: Iterable[str], now: float) -> None:
        due = [id for id in ids if now - self._ended.get(id, -END_EVERY) >= END_EVERY]
        if due:
            answers = self._ask_of("end", self._fleet.end, due, now)
            self._ended |= {id: now for id, answer in answers.items() if answer is Answer.DONE}

    def retire(self, listed: Iterable[Instance], ledger: Ledger, now: float) -> None:
        """Asks those that are to go, and those again that do not seem to have heard it."""
        lag, members = self._fleet.settles_after, ledger.members
        due = [
            one.id
            for one in listed
            if one.state in UP and members[one.id].going_since and now - self._retired.get(one.id, -lag) >= lag
        ]
        for id, answer in (self._ask_of("retire", self._fleet.retire, due, now) if due else {}).items():
            if answer is Answer.DONE:
                self._retired[id] = now
            if answer not in (Answer.WAITS, Answer.THROTTLED):
                # One that cannot be stopped is ended once its time is over.
                self.draining_since.setdefault(id, now)

    def _ask_of(self, verb: str, call: Callable[[list[str]], object], ids: Iterable[str], now: float) -> OfEach:
        """Those last that were refused lately: they keep nobody else waiting, and no cloud waits for another."""
        answers: OfEach = {}
        in_order = sorted(dict.fromkeys(ids), key=lambda id: self._refusals[verb, id])
        for rank in sorted({self._ranks.get(id, 0) for id in in_order}):
            theirs = [id for id in in_order if self._ranks.get(id, 0) == rank]
            answers |= self.calls.ask_of(f"{verb} {rank}" if rank else verb, call, theirs, now)
        for id, answer in answers.items():
            if answer is Answer.UNKNOWN:
                self._refusals[verb, id] += 1
            elif answer is Answer.DONE:
                del self._refusals[verb, id]
        return answers

    def come(self, ledger: Ledger, save: Callable[[Ledger, Ledger], Ledger], now: float) -> Ledger:
        """Asks for what nobody has answered yet; where an offer has no capacity, for as many of the next one."""
        asked: set[str] = set()
        refused: frozenset[int] = frozenset()
        ledger, lacking = self._ask_for(ledger, asked, now)
        # Once for each offer: a cloud that refuses everything does not hold the tick up for ever.
        for _ in self._fleet.offers:
            if not lacking or not self.choice.has_offer:
                break
            refused |= set(lacking)
            count = len(lacking)
            ledger = save(self.choice.asking(ledger, count, count, now, refused=refused), ledger)
            ledger, lacking = self._ask_for(ledger, asked, now)
        return ledger

    def _ask_for(self, ledger: Ledger, asked: set[str], now: float) -> tuple[Ledger, list[int]]:
        """The ledger with the answers, and of which clouds those were that came to nothing for want of capacity."""
        open_ones = [i for i in ledger.intents if not i.answered_at and i.name not in asked]
        if not open_ones:
            return ledger, []
        asked |= {intent.name for intent in open_ones}
        answers = self._started([i for i in open_ones if i.start is Start.POOL], now)
        answers |= self._launched([i for i in open_ones if i.start is Start.LAUNCH], now)
        lacking = [i.rank for i in open_ones if _is_lost(answers[i.name]) and not (i.unwanted or i.spare)]
        ended = [i.slot for i in open_ones if answers[i.name] is None and i.name in self._tried]
        intents = tuple(kept for i in ledger.intents if (kept := answers.get(i.name, i)) is not None)
        attempts = used_up(ledger.attempts, ended) if ended else ledger.attempts
        return replace(ledger, intents=intents, attempts=attempts), lacking

    def _started(self, intents: Sequence[Intent], now: float) -> Answers:
        """All at once: of one call EC2 makes as much as of twenty."""
        asked, answers = self._asked(intents)
        came = self._ask_of("start", self._fleet.start, [intent.id for intent in asked], now) if asked else {}
        return answers | {i.name: self._answered(i, (came[i.id], None), now) for i in asked}

    def _launched(self, intents: Sequence[Intent], now: float) -> Answers:
        answers: Answers = {}
        for chunk in batched(intents, self._fleet.at_once):
            asked, given_up = self._asked(chunk)
            answers |= given_up
            calls = [partial(self._fleet.launch, intent.token, intent.offer) for intent in asked]
            replies = self.calls.ask_all("launch", calls, now) if calls else []
            answers |= {i.name: self._answered(i, reply, now) for i, reply in zip(asked, replies, strict=True)}
        return answers

    def _asked(self, intents: Iterable[Intent]) -> tuple[list[Intent], Answers]:
        """Those to be asked for, and those that are not worth it: of what there is none of, unless it was tried."""
        worth = [i for i in intents if i.name in self._tried or _kind(i) not in self.exclusions]
        names = {intent.name for intent in worth}
        return worth, {intent.name: None for intent in intents if intent.name not in names}

    def _answered(self, intent: Intent, reply: Reply, now: float) -> Intent | None:
        """The intent with its answer; None if it definitely came to nothing."""
        answer, id = reply
        if answer is not Answer.WAITS:
            self._tried.add(intent.name)
        if answer is Answer.DONE:
            return replace(intent, answered_at=now, id=intent.id or str(id))
        if answer in (Answer.NO_CAPACITY, Answer.USED_UP):
            if answer is Answer.NO_CAPACITY or intent.start is Start.POOL:
                self._exclude(_kind(intent), now + EXCLUDED_FOR)
            return None
        if answer is Answer.DOUBTFUL:
            self._exclude(_kind(intent), now + DOUBTED_FOR)
            # As long as a list may not show it, it takes the room that it may need.
            return replace(intent, answered_at=now, unwanted=True)
        if intent.start is Start.POOL and self._refusals["start", intent.id] >= MOST_REFUSALS:
            # It may have been started all the same: the list says whether it was, once it has settled.
            del self._refusals["start", intent.id]
            self._exclude(intent.id, now + EXCLUDED_FOR)
            return replace(intent, answered_at=now)
        return intent

    def _exclude(self, what: str, until: float) -> None:
        self.exclusions = {**self.exclusions, what: until}

    def forget_times(self) -> None:
        """After the clock was set back."""
        self.calls.backoffs, self.exclusions = {}, {}
        self._ended, self._retired, self.draining_since = {}, {}, {}

    def forget(self, ledger: Ledger) -> None:
        """What was asked of instances that are gone, or are not on their way out any more: they live anew."""
        members = ledger.members
        for known in (self._retired, self.draining_since):
            for id in [id for id in known if id not in members or not members[id].going_since]:
                del known[id]
        # Nobody lives anew who was ended.
        for id in self._ended.keys() - members.keys():
            del self._ended[id]
        for refused in [refused for refused in self._refusals if refused[1] not in members]:
            del self._refusals[refused]
        if not ledger.intents:
            self._tried.clear()


def _is_lost(answered: Intent | None) -> bool:
    return answered is None or answered.unwanted


def _kind(intent: Intent) -> str:
    """What there may be none left of: this very instance, or any of its offer."""
    return intent.id if intent.start is Start.POOL else intent.offer


def batched(intents: Sequence[Intent], size: int) -> Iterator[list[Intent]]:
    """All of them in their order, so many at a time."""
    rest = iter(intents)
    while chunk := list(islice(rest, size)):
        yield chunk

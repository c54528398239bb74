"""What a controller must not forget, and what it is the better for knowing: saved, it is the next one's."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from controller.backoff import Backoff, FailedStarts
from controller.estimates import Average, Bill, Estimates
from controller.policy import Policy
from facefleet.errors import BadMessage
from facefleet.model import Start

M = TypeVar("M")
VERSION = 1
#: What reading something that is not ours may end with.
GARBAGE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Intent:
    """An instance asked for and not seen yet. Saved before anybody asks, so that whoever comes next asks for the same.

    `slot`: its number among ours, from 1; with the attempt and the offer it makes the token.
    `id`: of one to be started which; of a launch what the answer was. `answered_at`: when it was done; 0 while nobody
    knows. `unwanted`: to go once it is there. `spare`: made for the warm pool, by no wish of a policy. `rank`: of which
    of several clouds.
    """

    token: str
    slot: int
    offer: str
    asked_at: float
    start: Start = Start.LAUNCH
    id: str = ""
    answered_at: float = 0.0
    unwanted: bool = False
    spare: bool = False
    rank: int = 0

    @property
    def name(self) -> str:
        """What it is called until it is seen."""
        return self.id or self.token


@dataclass(frozen=True, slots=True)
class Member:
    """An instance that was listed. `slot`: 0 for one that somebody else launched; `launched_at`: of its last start.

    `heard`: its worker was; `worked`: in this life or in one before its last rest. `going_since`: when it was asked to
    go, else 0: from then on it is no capacity. `spare`: made for the warm pool, and not there yet.
    """

    id: str
    token: str
    slot: int
    asked_at: float
    launched_at: float
    start: Start
    heard: bool = False
    going_since: float = 0.0
    worked: bool = False
    spare: bool = False
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Learned:
    """Losing it costs money, never correctness. `memory` is the policy's; just loaded, what JSON made of it."""

    policy: str = ""
    memory: object = None
    estimates: Estimates = Estimates()
    bill: Bill = Bill()
    starts: FailedStarts = FailedStarts()
    backoffs: Mapping[str, Backoff] = field(default_factory=dict)
    #: Offers, and stopped instances, that there was no capacity for, and until when nobody asks again.
    exclusions: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was asked for, who is there, and what was learned. `attempts`: tokens that are used up, by slot."""

    intents: tuple[Intent, ...] = ()
    members: Mapping[str, Member] = field(default_factory=dict)
    attempts: Mapping[int, int] = field(default_factory=dict)
    learned: Learned = Learned()

    def is_as(self, other: "Ledger") -> bool:
        """Whether a successor would do the same with either. Parts that did not change are the same objects."""
        return self.intents is other.intents and self.members is other.members and self.attempts is other.attempts

    def not_after(self, now: float) -> "Ledger":
        """With no time of the future in it."""
        intents = (replace(i, asked_at=min(i.asked_at, now), answered_at=min(i.answered_at, now)) for i in self.intents)
        members = {
            id: replace(m, asked_at=min(m.asked_at, now), going_since=min(m.going_since, now))
            for id, m in self.members.items()
        }
        return replace(self, intents=tuple(intents), members=members)


def serving(ledger: Ledger, names: Iterable[str]) -> Ledger:
    """With these, which were made for the warm pool, as capacity like any other."""
    wanted = set(names)
    if not wanted:
        return ledger
    intents = tuple(replace(one, spare=False) if one.name in wanted else one for one in ledger.intents)
    members = {id: replace(one, spare=False) if id in wanted else one for id, one in ledger.members.items()}
    return replace(ledger, intents=intents, members=members)


def token_for(pool: str, slot: int, attempt: int, offer: str) -> str:
    """The same for whoever asks for the same: what was asked twice comes once."""
    return hashlib.sha256(f"{pool}\n{slot}\n{attempt}\n{offer}".encode()).hexdigest()[:32]


def used_up(attempts: Mapping[int, int], slots: Iterable[int]) -> Mapping[int, int]:
    """With one attempt more for each of these slots."""
    raised = dict(attempts)
    for slot in slots:
        raised[slot] = raised.get(slot, 0) + 1
    return raised


def dump_ledger(ledger: Ledger) -> dict[str, Any]:
    return {
        "v": VERSION,
        "intents": [_dumped(intent) for intent in ledger.intents],
        "members": [_dumped(member) for member in ledger.members.values()],
        "attempts": {str(slot): attempt for slot, attempt in ledger.attempts.items()},
        "learned": asdict(ledger.learned),
    }


def _dumped(one: Intent | Member) -> dict[str, Any]:
    """Without what a controller from before there were several clouds would refuse."""
    body = asdict(one)
    return body if one.rank else {name: value for name, value in body.items() if name != "rank"}


def load_ledger(body: Any) -> Ledger:
    """Raises `BadMessage` for anything that `dump_ledger` would not have written."""
    try:
        if body["v"] != VERSION:
            raise BadMessage(f"a ledger of version {body['v']}, and this controller reads {VERSION}")
        members = [Member(**_started(m)) for m in body["members"]]
        return Ledger(
            tuple(Intent(**_started(i)) for i in body["intents"]),
            {member.id: member for member in members},
            {int(slot): int(attempt) for slot, attempt in body["attempts"].items()},
            _learned(body["learned"]),
        )
    except GARBAGE as e:
        raise BadMessage(f"not a ledger of ours: {e}") from e


def _started(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"start": Start(body["start"])}


def _learned(body: dict[str, Any]) -> Learned:
    estimates, bill = body["estimates"], body["bill"]
    averages = {name: Average(**estimates[name]) for name in ("launch", "pool", "service")}
    return Learned(
        body["policy"],
        body["memory"],
        Estimates(**averages, done=int(estimates["done"])),
        Bill(bill["total"], bill["at"], tuple((int(minute), seconds) for minute, seconds in bill["minutes"])),
        FailedStarts(**body["starts"]),
        {verb: Backoff(**backoff) for verb, backoff in body["backoffs"].items()},
        dict(body["exclusions"]),
    )


def load_memory(policy: Policy[M], learned: Learned) -> M:
    """What this policy remembered; nothing, if another policy did, or an earlier form of it."""
    kind, memory = type(policy.fresh), learned.memory
    if learned.policy != policy.name:
        return policy.fresh
    if isinstance(memory, kind):
        return memory
    try:
        return cast(M, _restored(kind, memory))
    except GARBAGE:
        return policy.fresh


def _restored(kind: Any, value: Any) -> Any:
    """Of what JSON made of it a value of this kind; raises one of `GARBAGE` for what is of another."""
    if isinstance(kind, UnionType):
        return None if value is None else _restored(get_args(kind)[0], value)
    if is_dataclass(kind):
        if value.keys() != {f.name for f in fields(kind)}:
            raise ValueError("an earlier form of it")
        hints = get_type_hints(kind)
        return cast(Any, kind)(**{name: _restored(hints[name], one) for name, one in value.items()})
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if kinds[1:] == (...,):
            return tuple(_restored(kinds[0], one) for one in value)
        return tuple(_restored(of, one) for of, one in zip(kinds, value, strict=True))
    if not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{kind.__name__} expected")
    return value

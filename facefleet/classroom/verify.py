"""Answers held against the truth: what is right, wrong, missing, too much; and whether all counts agree."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from facefleet import keys
from facefleet.classroom import mapping
from facefleet.classroom.mapping import Expected, Same
from facefleet.errors import BadFile


class Verdict(StrEnum):
    """Spelling: right to any reader, and told. Unjudged: the truth tells attributes only, and the answer none."""

    RIGHT = "right"
    SPELLING = "spelling"
    WRONG = "wrong"
    MISSING = "missing"
    UNJUDGED = "unjudged"


#: Of several answers to the same, the worst counts.
WORST_FIRST = (Verdict.WRONG, Verdict.UNJUDGED, Verdict.SPELLING, Verdict.RIGHT)
VERDICTS = {Same.YES: Verdict.RIGHT, Same.SPELLING: Verdict.SPELLING, Same.NO: Verdict.WRONG}


@dataclass(frozen=True, slots=True)
class Given:
    """What came of one upload. `key`: the stem of the name that it was sent under.

    `name` is None where there is no answer, `code` says why; `attributes` is None where this way tells none.
    `file`: the stem of the file that was sent, where that is known.
    """

    key: str
    name: str | None
    attributes: tuple[str, ...] | None = None
    code: str = ""
    file: str = ""

    @property
    def words(self) -> str:
        return self.code if self.name is None else ",".join((self.name, *(self.attributes or ())))


@dataclass(frozen=True, slots=True)
class Judged:
    """One that was expected, and what became of it."""

    key: str
    verdict: Verdict
    expected: str
    given: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there were on each part of the way; None where nobody told. Equal where nothing was lost or doubled."""

    uploads: int | None = None
    events: int | None = None
    invocations: int | None = None
    results: int | None = None

    @property
    def known(self) -> dict[str, int]:
        found = {name: getattr(self, name) for name in ("uploads", "events", "invocations", "results")}
        return {name: count for name, count in found.items() if count is not None}

    @property
    def agree(self) -> bool:
        return len(set(self.known.values())) <= 1


@dataclass(frozen=True, slots=True)
class Report:
    """`extra`: answers to what nobody expected. `duplicates`: answered more than once, and how often."""

    judged: tuple[Judged, ...]
    extra: tuple[str, ...]
    duplicates: Mapping[str, int]
    counts: Counts = field(default_factory=Counts)

    def of(self, verdict: Verdict) -> list[Judged]:
        return [one for one in self.judged if one.verdict is verdict]

    @property
    def is_right(self) -> bool:
        """All answered, once and rightly, be it in another spelling, and all counts equal."""
        good = (Verdict.RIGHT, Verdict.SPELLING)
        all_right = all(one.verdict in good for one in self.judged)
        return all_right and not self.extra and not self.duplicates and self.counts.agree


def join(given: Iterable[Given], expected: Sequence[Expected], counts: Counts | None = None) -> Report:
    """Each line of the truth with what was answered to it, in the truth's order.

    A file that was sent again under a further name, `a-1` for `a`, is one more line with the same truth. Raises
    `BadFile` where two lines of the truth have the same stem, for an output tells no more than that.
    """
    truth, answers = _by_stem(expected), defaultdict[str, list[Given]](list)
    for one in given:
        answers[one.key].append(one)
        if one.key not in truth and one.file in truth and _is_again(one):
            truth[one.key] = truth[one.file]
    return Report(
        judged=tuple(_judged(key, answers.get(key, ()), wanted) for key, wanted in truth.items()),
        extra=tuple(key for key in answers if key not in truth),
        duplicates={key: len(found) for key, found in answers.items() if len(found) > 1},
        counts=counts or Counts(),
    )


def _by_stem(expected: Sequence[Expected]) -> dict[str, Expected]:
    truth: dict[str, Expected] = {}
    for one in expected:
        key = keys.stem(keys.clean_filename(one.file))
        if key in truth:
            raise BadFile(f"{truth[key].file} and {one.file} have one output, {key}: keep one of their lines")
        truth[key] = one
    return truth


def _is_again(one: Given) -> bool:
    return re.fullmatch(re.escape(one.file) + r"-\d+", one.key) is not None


def _judged(key: str, found: Sequence[Given], expected: Expected) -> Judged:
    words = ",".join(filter(None, (expected.name, *expected.attributes)))
    answered = [(verdict_on(one, expected), one) for one in found if one.name is not None]
    if not answered:
        return Judged(key, Verdict.MISSING, words, found[0].words if found else "")
    verdict, worst = min(answered, key=lambda one: WORST_FIRST.index(one[0]))
    return Judged(key, verdict, words, worst.words)


def verdict_on(given: Given, expected: Expected) -> Verdict:
    """Of an answer."""
    if given.attributes is None:
        if expected.name is None:
            return Verdict.UNJUDGED
        # What this way cannot tell is not held against it.
        expected = replace(expected, attributes=())
    return VERDICTS[mapping.same((given.name or "", *(given.attributes or ())), expected)]

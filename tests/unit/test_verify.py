"""Answers held against the truth."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet.classroom.mapping import Expected
from facefleet.classroom.verify import Counts, Given, Judged, Verdict, join
from facefleet.errors import BadFile

WORDS = st.sampled_from(("freshmen", "freshman", "senior", "Senior", "junior"))
STEMS = st.sampled_from([f"test_{i}" for i in range(6)])
ANSWERS = st.builds(
    Given,
    key=STEMS,
    name=st.none() | st.sampled_from(("paul", "mary", "unknown")),
    attributes=st.none() | st.tuples(WORDS, WORDS),
)
TRUTHS = st.lists(
    st.builds(
        Expected,
        file=STEMS.map(lambda stem: f"{stem}.mp4"),
        name=st.none() | st.sampled_from(("paul", "Mary")),
        attributes=st.tuples(WORDS, WORDS),
    ),
    unique_by=lambda one: one.file,
)

TRUTH = (
    Expected("test_0.mp4", None, ("history", "senior")),
    Expected("test_1.mp4", None, ("lawyer", "freshman")),
    Expected("test_2.mp4", None, ("math", "junior")),
)


def of(key: str, line: str | None, *, code: str = "", file: str = "") -> Given:
    name, *attributes = (line or "").split(",")
    return Given(key, None if line is None else name, tuple(attributes) or None, code, file)


RIGHT = (of("test_0", "mary,history,senior"), of("test_1", "bean,lawyer,freshman"), of("test_2", "paul,math,junior"))


def verdicts(*given: Given, truth: tuple[Expected, ...] = TRUTH) -> list[str]:
    return [one.verdict.value for one in join(given, truth).judged]


@given(st.lists(ANSWERS), TRUTHS)
def test_each_that_was_expected_is_judged_once_and_each_answer_has_its_place(
    answers: list[Given], truth: list[Expected]
) -> None:
    report = join(answers, truth)
    assert [one.key for one in report.judged] == [one.file.removesuffix(".mp4") for one in truth]
    assert sum(len(report.of(verdict)) for verdict in Verdict) == len(truth)
    times = Counter(one.key for one in answers)
    assert {*report.extra} | {one.key for one in report.judged} >= times.keys()
    assert not {*report.extra} & {one.key for one in report.judged}
    assert report.duplicates == {key: count for key, count in times.items() if count > 1}
    answered = {one.key for one in answers if one.name is not None}
    assert {one.key for one in report.of(Verdict.MISSING)} == {one.key for one in report.judged} - answered


@given(st.lists(ANSWERS), TRUTHS, st.randoms(use_true_random=False))
def test_the_order_of_answers_says_nothing(answers: list[Given], truth: list[Expected], chance: object) -> None:
    shuffled = sorted(answers, key=lambda _: chance.random())  # type: ignore[attr-defined]
    one, other = join(answers, truth), join(shuffled, truth)
    assert [judged.verdict for judged in one.judged] == [judged.verdict for judged in other.judged]
    assert ({*one.extra}, one.duplicates) == ({*other.extra}, other.duplicates)


@given(st.lists(ANSWERS), TRUTHS, ANSWERS)
def test_a_further_answer_makes_nothing_better_that_was_answered(
    answers: list[Given], truth: list[Expected], further: Given
) -> None:
    before = {one.key: one.verdict for one in join(answers, truth).judged}
    after = {one.key: one.verdict for one in join([*answers, further], truth).judged}
    order = [Verdict.WRONG, Verdict.UNJUDGED, Verdict.SPELLING, Verdict.RIGHT]
    for key, verdict in before.items():
        if verdict is not Verdict.MISSING:
            assert order.index(after[key]) <= order.index(verdict)


def test_all_right_is_right() -> None:
    report = join(RIGHT, TRUTH)
    assert report.is_right and verdicts(*RIGHT) == ["right"] * 3 and report.extra == ()


def test_an_answer_that_differs_in_spelling_is_right_and_told() -> None:
    given = (RIGHT[0], of("test_1", "bean,lawyer,freshmen"), RIGHT[2])
    report = join(given, TRUTH)
    assert report.is_right and report.of(Verdict.SPELLING) == [
        Judged("test_1", Verdict.SPELLING, "lawyer,freshman", "bean,lawyer,freshmen")
    ]


@pytest.mark.parametrize("line", ["paul,math,senior", "unknown,,", "paul,math", "paul,,"])
def test_another_answer_is_wrong_and_both_are_told(line: str) -> None:
    report = join((*RIGHT[:2], of("test_2", line)), TRUTH)
    assert not report.is_right
    assert report.of(Verdict.WRONG) == [Judged("test_2", Verdict.WRONG, "math,junior", line)]


def test_what_has_no_answer_is_missing_with_the_reason_where_there_is_one() -> None:
    report = join((RIGHT[0], of("test_1", None, code="timeout")), TRUTH)
    assert [(one.key, one.given) for one in report.of(Verdict.MISSING)] == [("test_1", "timeout"), ("test_2", "")]
    assert not report.is_right and not report.extra


def test_an_answer_to_nothing_expected_or_a_second_one_is_not_right() -> None:
    assert join((*RIGHT, of("test_3", "paul,math,junior")), TRUTH).extra == ("test_3",)
    twice = join((*RIGHT, RIGHT[1]), TRUTH)
    assert twice.duplicates == {"test_1": 2} and not twice.is_right and verdicts(*RIGHT, RIGHT[1]) == ["right"] * 3
    assert verdicts(*RIGHT, of("test_1", "paul,math,junior")) == ["right", "wrong", "right"]
    assert verdicts(*RIGHT, of("test_1", None, code="timeout")) == ["right"] * 3


def test_a_way_that_tells_names_alone_is_judged_by_the_name_or_not_at_all() -> None:
    truth = (Expected("test_0.jpg", "Paul", ("history", "senior")), *TRUTH[1:2])
    report = join((of("test_0", "Paul"), of("test_1", "bean")), truth)
    assert [one.verdict for one in report.judged] == [Verdict.RIGHT, Verdict.UNJUDGED] and not report.is_right
    assert verdicts(of("test_0", "Mary"), truth=truth[:1]) == ["wrong"]
    assert verdicts(Given("test_0", "Paul", ("", "")), truth=truth[:1]) == ["wrong"], "told, and there are none"


def test_a_file_that_was_sent_again_under_a_number_has_the_same_truth() -> None:
    again = of("test_0-1", "mary,history,senior", file="test_0")
    assert join((*RIGHT, again), TRUTH).is_right
    wrong = of("test_0-2", "paul,math,junior", file="test_0")
    assert [one.key for one in join((*RIGHT, again, wrong), TRUTH).of(Verdict.WRONG)] == ["test_0-2"]
    # Sent under a name that the truth should have: a number that is missing there is not made up for.
    assert join((*RIGHT, of("test_3", "mary,history,senior", file="test_0")), TRUTH).extra == ("test_3",)


def test_two_lines_with_one_output_are_refused() -> None:
    with pytest.raises(BadFile, match=r"a\.jpg and a\.png have one output, a"):
        join((), (Expected("a.jpg", "Paul", ()), Expected("a.png", "Mary", ())))


def test_counts_that_are_known_are_to_be_equal() -> None:
    assert Counts().agree and Counts(uploads=3, results=3).agree
    assert Counts(3, 3, 3, 3).known == {"uploads": 3, "events": 3, "invocations": 3, "results": 3}
    assert not Counts(uploads=3, invocations=4).agree
    assert not join(RIGHT, TRUTH, Counts(3, 3, 4, 3)).is_right and join(RIGHT, TRUTH, Counts(3, 3, 3, 3)).is_right

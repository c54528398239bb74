"""How findings are made of what was seen."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet.backends.aws.account.checks import MOST_SKEW, clock, enough_vcpus, fitting, standing, told_of
from facefleet.backends.aws.account.resources import Step, Verb
from facefleet.cli import here
from facefleet.cli.doctor import looked
from facefleet.errors import BadSettings, Unavailable
from facefleet.findings import Finding, State, ok
from facefleet.settings import Settings

SIZES = st.integers(0, 30)
CODES = st.sampled_from(["", "AccessDenied", "NoSuchBucket"])


@given(st.floats(-10_000, 10_000))
def test_a_clock_is_wrong_once_aws_takes_no_signature_and_the_words_say_which_way(skew: float) -> None:
    found = clock(skew)
    assert found.state is (State.WRONG if abs(skew) > MOST_SKEW else State.OK)
    if found.state is State.WRONG:
        assert ("ahead" in found.words) == (skew > 0)


@given(SIZES, SIZES, SIZES, st.integers(1, 30))
def test_a_group_must_let_the_fleet_be_as_small_and_as_large_as_the_settings_do(
    least: int, most: int, smallest: int, largest: int
) -> None:
    settings = Settings(backend="aws", min_instances=min(smallest, largest), max_instances=largest)
    found = fitting("group", settings, least=least, most=most)
    assert (found.state is State.OK) == (least <= settings.min_instances and most >= largest)
    if found.state is State.WRONG:
        assert ("MinSize" in found.words) == (least > settings.min_instances)


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_a_quota_is_enough_or_the_words_say_whom_to_ask_for_more(needed: int, quota: int) -> None:
    found = enough_vcpus(needed, float(quota))
    assert found.state is (State.OK if needed <= quota else State.WRONG)
    assert found.state is State.OK or "Service Quotas" in found.words


@given(st.lists(st.tuples(st.sampled_from(["send", "receive", "launch"]), CODES)))
def test_every_permission_that_was_tried_is_told_once_by_what_came_of_it(outcomes: list[tuple[str, str]]) -> None:
    found = list(told_of("worker", outcomes))
    states = {"": State.OK, "AccessDenied": State.WRONG, "NoSuchBucket": State.UNKNOWN}
    assert {finding.state for finding in found} == {states[code] for _, code in outcomes}
    for code, state in states.items():
        told = " ".join(finding.words for finding in found if finding.state is state)
        for what in ("send", "receive", "launch"):
            assert told.count(what) == outcomes.count((what, code))
    assert all("deploy/policies/worker.json" in one.words for one in found if one.state is State.WRONG)


def test_what_is_not_as_wanted_is_told_with_what_differs_and_what_to_do() -> None:
    change = standing(Step("queue q", Verb.CHANGE, {"a": "1"}, {"a": "2"}))
    assert change == Finding("queue q", State.WRONG, "not as wanted (a): facefleet setup")
    assert standing(Step("queue q", Verb.MAKE, None, {"a": "2"})).words == "not there: facefleet setup"
    assert standing(Step("queue q", Verb.FINE, {}, {})).state is State.OK


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Unavailable("later"), State.UNKNOWN),
        (BadSettings("set it"), State.WRONG),
        (KeyError("odd"), State.UNKNOWN),
        (OSError("disk"), State.UNKNOWN),
    ],
)
def test_a_check_that_stumbles_is_a_finding_beside_what_it_found_before(error: Exception, state: State) -> None:
    def stumbling() -> Iterator[Finding]:
        yield ok("before", "seen")
        raise error

    before, after = looked("about", stumbling)
    assert before.state is State.OK
    assert (after.about, after.state) == ("about", state) and str(error) in after.words


def test_a_data_folder_that_others_may_read_is_wrong(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert [one.state for one in here.data_folder(tmp_path)] == [State.OK]
    assert [one.state for one in here.data_folder(tmp_path / "not" / "yet")] == [State.OK]
    tmp_path.chmod(0o755)
    (found,) = here.data_folder(tmp_path)
    assert found.state is State.WRONG and f"chmod 700 {tmp_path}" in found.words
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755, "it is told, not changed"


def test_a_data_folder_that_is_a_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    (found,) = here.data_folder(tmp_path / "data")
    assert found.state is State.WRONG and "FACEFLEET_DATA" in found.words


def test_the_model_is_there_or_is_to_be_made(models: Path, tmp_path: Path) -> None:
    (to_make,) = here.model(tmp_path)
    assert to_make.state is State.OK and str(tmp_path) in to_make.words
    (tmp_path / here.CONVERTED).touch()
    (there,) = here.model(tmp_path)
    assert there == ok("model", str(tmp_path / here.CONVERTED))

"""Response queues of SQS: what they are called, and when their process counts as gone."""

import pytest

from facefleet.backends.aws.replies import ALIVE_AT, GONE_AFTER, MAX_NAME, is_abandoned, own_name


def test_a_name_fits_sqs_and_is_another_one_each_time() -> None:
    made = {own_name("responses", "a.host.with.dots." * 9, 12345) for _ in range(3)}
    assert len(made) == 3
    for name in made:
        assert len(name) <= MAX_NAME
        assert name.replace("-", "").isalnum()


@pytest.mark.parametrize(("age", "abandoned"), [(GONE_AFTER + 1, True), (GONE_AFTER - 1, False), (-60.0, False)])
def test_an_owner_is_gone_when_it_missed_three_signs_of_life(age: float, *, abandoned: bool) -> None:
    assert is_abandoned({ALIVE_AT: str(1e9 - age)}, 1e9) is abandoned

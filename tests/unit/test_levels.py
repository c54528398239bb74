"""What a further server would have been worth: virtual queues, gaps, and how long to wait for the next need."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.levels import GAPS, PRIOR, PRIOR_FOREVER, Level, Prices, Record, best_gap, held, levels_up_to, replay

PRICES = Prices(start=60.0, wait=1.0, boot=45.0, service=1.0)


def replayed(arrivals: list[int], most: int = 4, *, since: float = 0.0, prices: Prices = PRICES) -> tuple[Level, ...]:
    """Levels after so many arrivals in each second."""
    levels = levels_up_to(most)
    for second, count in enumerate(arrivals, start=1):
        levels = replay(levels, count, 1.0, since + second, prices)
    return levels


@given(most=st.integers(0, 20_000))
def test_levels_lead_from_none_to_the_most_and_are_few(most: int) -> None:
    sizes = [level.servers for level in levels_up_to(most)]
    assert sizes[0] == 0
    assert sizes[-1] == most
    assert sizes == sorted(set(sizes))
    assert len(sizes) < 100


def test_a_virtual_queue_is_what_its_servers_have_not_worked_off() -> None:
    levels = replayed([10, 0, 0], most=4)
    assert [level.waiting for level in levels] == [10, 7, 4, 1, 0]


def test_help_comes_to_a_virtual_queue_after_the_time_of_a_boot() -> None:
    levels = replayed([10] + [0] * 60, most=0)
    assert levels[0].waiting == 0.0


def test_where_nobody_comes_nothing_changes() -> None:
    levels = replayed([5] + [0] * 300)
    assert replay(levels, 0, 1.0, 400.0, PRICES) == levels


def test_a_server_saves_what_others_would_have_waited() -> None:
    one, two, *_ = replayed([10] + [0] * 20)[1:]
    assert one.needed
    assert one.saved > two.record.worth > 0


@pytest.mark.parametrize(
    ("gap", "worth", "waited"), [(8.0, 100.0, 8.0), (8.0, 4.0, 0.0), (1000.0, 2000.0, 1024.0), (1000.0, 500.0, 0.0)]
)
def test_one_waits_for_the_next_need_only_if_being_there_is_worth_it(gap: float, worth: float, waited: float) -> None:
    gaps = tuple(float(shorter < gap <= longest) for shorter, longest in zip((0.0, *GAPS), GAPS, strict=False))
    assert best_gap(gaps, 0.0, worth) == waited


def test_nobody_waits_where_nobody_ever_came_again() -> None:
    assert best_gap((0.0,) * len(GAPS), 5.0, 1e6) == 0.0


WEIGHTS = st.tuples(*(st.floats(0, 10) for _ in GAPS))


@given(gaps=WEIGHTS, forever=st.floats(0, 10), worth=st.floats(-100, 1e4))
def test_no_other_time_of_waiting_would_have_cost_less(gaps: tuple[float, ...], forever: float, worth: float) -> None:
    def cost(waiting: float) -> float:
        middles = [(shorter + longest) / 2 for shorter, longest in zip((0.0, *GAPS), GAPS, strict=False)]
        met = sum(w * middle for w, middle, longest in zip(gaps, middles, GAPS, strict=True) if longest <= waiting)
        missed = sum(w for w, longest in zip(gaps, GAPS, strict=True) if longest > waiting) + forever
        return met + missed * (waiting + worth)

    least = min(cost(waiting) for waiting in (0.0, *GAPS))
    assert cost(best_gap(gaps, forever, worth)) == pytest.approx(least, abs=1e-6)


def test_a_level_that_is_needed_again_and_again_is_held_and_a_higher_one_is_not() -> None:
    levels = replayed([4, 0, 0, 0, 0, 0] * 100)
    assert 1 <= held(levels, up=0, now=601.0) < 4


def test_after_a_single_burst_little_is_held_and_after_a_long_silence_nothing() -> None:
    levels = replayed([100] + [0] * 120, most=19)
    assert held(levels, up=12, now=121.0) <= 3
    assert held(levels, up=12, now=5000.0) == 0


def test_what_is_up_is_kept_for_longer_than_it_would_be_launched() -> None:
    """Who lets go of a server pays for the next start."""
    levels = (Level(0), Level(1, needed_at=100.0, record=Record(hold=10.0, keep=60.0)))
    assert [held(levels, up, now) for up, now in ((0, 105.0), (0, 130.0), (1, 130.0), (1, 170.0))] == [1, 0, 1, 0]


@given(
    arrivals=st.lists(st.integers(0, 50), max_size=120),
    most=st.integers(0, 30),
    prices=st.builds(Prices, *[st.floats(0.01, 200)] * 4),
)
def test_whatever_arrives_queues_and_weights_stay_sane(arrivals: list[int], most: int, prices: Prices) -> None:
    for level in replayed(arrivals, most, prices=prices):
        assert 0 <= level.waiting <= sum(arrivals)
        assert level.relief >= 0
        record = level.record
        assert all(weight >= 0 for weight in (*record.gaps, record.forever))
        assert sum(record.gaps) + record.forever <= max(sum(PRIOR) + PRIOR_FOREVER, 1 / 0.05) + 1e-6
        assert {record.hold, record.keep} <= {0.0, *GAPS}

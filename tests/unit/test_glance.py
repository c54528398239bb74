"""However many ask for a number that costs a call, few calls are made, and none is waited for without need."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet.errors import Unavailable
from facefleet.glance import Glance

PATIENCE = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Meter:
    """Counts its looks; each fails while `down`, and waits at the gate."""

    def __init__(self) -> None:
        self.looks = 0
        self.down = False
        self.looked = Event()
        self.gate = Event()
        self.gate.set()

    def look(self) -> int:
        self.looks += 1
        self.looked.set()
        assert self.gate.wait(PATIENCE)
        if self.down:
            raise Unavailable("it does not answer")
        return self.looks


@given(waits=st.lists(st.floats(0.0, 20.0), max_size=20), down=st.booleans())
def test_whether_it_answers_or_not_it_is_asked_once_in_an_age_at_most(waits: list[float], *, down: bool) -> None:
    clock, meter = Clock(), Meter()
    glance = Glance(meter.look, age=10.0, clock=clock)
    assert glance.value() == 1
    meter.down = down
    for wait in waits:
        clock.now += wait
        glance.value()
    assert meter.looks <= 1 + sum(waits) / 10.0


def test_while_one_looks_the_others_have_what_was_seen_before() -> None:
    clock, meter = Clock(), Meter()
    glance = Glance(meter.look, age=10.0, clock=clock)
    glance.value()
    clock.now += 11.0
    meter.gate.clear()
    meter.looked.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(glance.value)
        assert meter.looked.wait(PATIENCE)
        assert [glance.value() for _ in range(100)] == [1] * 100
        meter.gate.set()
        assert slow.result(PATIENCE) == 2
    assert meter.looks == 2


def test_an_error_leaves_what_was_seen_before_and_is_raised_where_nothing_was() -> None:
    clock, meter = Clock(), Meter()
    glance = Glance(meter.look, age=10.0, clock=clock)
    meter.down = True
    with pytest.raises(Unavailable):
        glance.value()
    meter.down = False
    assert glance.value() == 2
    meter.down = True
    clock.now += 11.0
    assert glance.value() == 2


def test_who_asks_anew_has_what_is_true_now() -> None:
    glance = Glance(Meter().look, age=10.0)
    assert [glance.value(), glance.value(), glance.value(anew=True), glance.value()] == [1, 1, 2, 2]

"""Processes that recognise for a relay: what becomes of an object when one crashes, hangs or says what it likes."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from relays import told_of

from bench.local import awaited
from facefleet.arrivals import Arrival
from facefleet.errors import NotFound, Unavailable
from openstack_relay.doing import Failed
from openstack_relay.hands import LONGEST_WAIT, START_TIMEOUT, Hand, Hands
from openstack_relay.incoming import read
from openstack_relay.recognising import lines
from openstack_relay.recognising.loop import run
from openstack_relay.relay import LONGEST_TURN

CHILD = """
import json, os, sys, time
sys.path.insert(0, {root!r})
from openstack_relay.recognising import lines
{before}
os.write(1, lines.READY)
for line in sys.stdin.buffer:
    arrival = lines.asked(line)
    {body}
    os.write(1, lines.answer({{"id": arrival.job_id, "by": os.getpid()}}))
"""
ROOT = str(Path(__file__).parents[2])


def hands(body: str = "pass", *, before: str = "", count: int = 1, timeout: float = 30.0) -> Hands:
    script = CHILD.format(root=ROOT, body=body, before=before)
    return Hands(count, timeout, command=(sys.executable, "-c", script))


def arrived(key: str) -> Arrival:
    found = read(told_of(key))
    assert found is not None
    return found.arrivals[0]


@pytest.fixture
def arrival() -> Arrival:
    return arrived("a.mp4")


def test_one_process_does_one_object_after_the_other(arrival: Arrival) -> None:
    with (one := hands()).running():
        first, second = one(arrival), one(arrival)
    assert first["by"] == second["by"]


def test_a_process_that_crashes_over_an_object_fails_it_and_another_takes_its_place(arrival: Arrival) -> None:
    crashes = "os.kill(os.getpid(), 11) if arrival.key == 'a.mp4' else None"
    with (one := hands(crashes)).running():
        with pytest.raises(Failed, match=str(-signal.SIGSEGV)):
            one(arrival)
        assert one(arrived("b.mp4"))["id"]


def test_a_process_that_hangs_over_an_object_is_ended_and_another_takes_its_place(arrival: Arrival) -> None:
    hangs = "time.sleep(600) if arrival.key == 'a.mp4' else None"
    with (one := hands(hangs, timeout=1.0)).running():
        with pytest.raises(Failed, match="1 s"):
            one(arrival)
        assert one(arrived("b.mp4"))["id"]


def test_a_process_that_does_not_come_up_is_an_outage_and_nobody_s_failure(arrival: Arrival) -> None:
    with (one := hands(before="sys.exit(78)")).running(), pytest.raises(Unavailable) as raised:
        one(arrival)
    assert not isinstance(raised.value, Failed) and "78" in str(raised.value)


def test_no_more_objects_are_at_work_than_there_are_processes(arrival: Arrival, tmp_path: Path) -> None:
    at_work = "fd = os.open({0!r}, os.O_CREAT | os.O_EXCL); time.sleep(0.1); os.unlink({0!r})"
    one = hands(at_work.format(str(tmp_path / "at work")))
    with one.running(), ThreadPoolExecutor(4) as pool:
        done = list(pool.map(one, [arrival] * 4))
    assert len({result["by"] for result in done}) == 1


def test_who_waits_for_a_process_in_vain_is_told_to_come_again(arrival: Arrival) -> None:
    with (one := hands("time.sleep(2)", timeout=3.0)).running(), ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(one, arrival) for _ in range(4)]
        errors = [future.exception() for future in waiting]
    assert any(isinstance(e, Unavailable) and not isinstance(e, Failed) for e in errors)
    assert any(e is None for e in errors)


def test_a_process_that_ended_with_nothing_in_hand_is_no_object_s_failure(arrival: Arrival) -> None:
    with (one := hands()).running():
        idle = one(arrival)["by"]
        os.kill(idle, signal.SIGKILL)
        # It has ended once its pipes have, which is before anybody has waited for it.
        awaited(lambda: Path(f"/proc/{idle}/stat").read_text().split()[2] == "Z", "it ends", seconds=30)
        assert one(arrival)["by"] != idle


@pytest.mark.parametrize(
    "says",
    ["b'no JSON\\n'", "b'{}\\n'", "b'[]\\n'", "lines.answer({'id': 'another'}) * 2", "lines.READY"],
    ids=["no JSON", "no answer", "no object", "another's, and one too many", "ready, again"],
)
def test_whatever_a_process_says_besides_is_nobody_s_result(arrival: Arrival, says: str) -> None:
    with (one := hands(f"os.write(1, {says}) if arrival.key == 'a.mp4' else None")).running():
        with pytest.raises(Failed, match="something else"):
            one(arrival)
        other = arrived("b.mp4")
        assert one(other)["id"] == other.job_id


def test_what_is_printed_before_a_process_is_ready_is_not_taken_for_its_readiness(arrival: Arrival) -> None:
    with (one := hands(before="os.write(1, b'warning: no GPU\\n')")).running(), pytest.raises(Unavailable) as raised:
        one(arrival)
    assert not isinstance(raised.value, Failed)


def test_a_process_for_which_there_is_no_room_is_an_outage(arrival: Arrival) -> None:
    one = Hand(("/nonexistent/python",), 1.0)
    with pytest.raises(Unavailable) as raised:
        one(arrival)
    assert not isinstance(raised.value, Failed)


def test_who_waits_for_a_process_that_has_to_come_up_is_not_taken_for_one_that_hangs() -> None:
    assert LONGEST_WAIT + START_TIMEOUT < LONGEST_TURN


def test_at_the_end_no_process_is_left(arrival: Arrival) -> None:
    with (one := hands(count=2)).running():
        process = one(arrival)["by"]
    assert not Path(f"/proc/{process}").exists()


def test_errors_come_back_as_they_were_raised() -> None:
    def answered(work: object) -> object:
        read_end, write_end = os.pipe()
        os.write(write_end, lines.ask(arrived("a.mp4")))
        os.close(write_end)
        run(work, lambda: None, read_end, told := BytesIO())
        os.close(read_end)
        return lines.answered(told.getvalue())

    def raising(error: Exception) -> object:
        def work(_: object) -> None:
            raise error

        return work

    assert answered(lambda _: None) is None
    with pytest.raises(Failed, match="people"):
        answered(raising(Failed("people")))
    with pytest.raises(Unavailable, match="S3") as raised:
        answered(raising(Unavailable("S3")))
    assert not isinstance(raised.value, Failed)
    with pytest.raises(Unavailable, match="facefleet setup") as raised:
        answered(raising(NotFound("there is no table")))
    assert not isinstance(raised.value, Failed)
    with pytest.raises(Failed, match="MemoryError"):
        answered(raising(MemoryError()))

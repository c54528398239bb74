"""Results as files: whole, the newest under its plain name, and nothing lost where nothing can be written."""

import os
import resource
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facefleet.classroom.verify import Given
from facefleet.cli.loading.outputs import given_by
from facefleet.errors import BadMessage, Unavailable
from openstack_relay.home import LEFT, MAKING, Home
from openstack_relay.names import named


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "results")
    home.tidy()
    return home


def files(home: Home) -> dict[str, str]:
    return {path.name: path.read_text() for path in home.folder.iterdir()}


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_result_is_a_file_that_verify_reads(home: Home) -> None:
    assert home.keep("test_0", "mr_bean,lawyer,freshmen", sent_at=1.0).name == "test_0.txt"
    assert files(home) == {"test_0.txt": "mr_bean,lawyer,freshmen\n"}
    assert given_by(str(home.folder), ("major", "year")) == [Given("test_0", "mr_bean", ("lawyer", "freshmen"))]


def test_the_same_again_is_the_same_file(home: Home) -> None:
    first = home.keep("test_0", "mr_bean", sent_at=1.0)
    made = first.stat().st_ino
    assert home.keep("test_0", "mr_bean", sent_at=1.0) == first
    assert files(home) == {"test_0.txt": "mr_bean\n"} and first.stat().st_ino == made


def test_of_two_results_the_newer_has_the_plain_name_and_the_older_is_kept(home: Home) -> None:
    home.keep("test_0", "new", sent_at=2.0)
    aside = home.keep("test_0", "old", sent_at=1.0)
    assert files(home) == {"test_0.txt": "new\n", aside.name: "old\n"}
    assert aside.name.startswith("test_0~")


SENT = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=4)


@settings(deadline=None)
@given(SENT)
def test_whatever_order_results_come_in_the_same_files_are_left(sent: list[tuple[str, int]]) -> None:
    left = []
    for order in set(permutations(sent)):
        with TemporaryDirectory() as folder:
            home = Home(Path(folder))
            for line, at in order:
                home.keep("stem", line, sent_at=float(at))
                home.keep("stem", line, sent_at=float(at))
            left.append(files(home))
    assert all(one == left[0] for one in left)
    newest = max((at, line) for line, at in sent)[1]
    assert left[0].pop("stem.txt") == f"{newest}\n"
    assert sorted(left[0].values()) == sorted(f"{line}\n" for line in {line for line, _ in sent} - {newest})


def test_a_full_disk_loses_nothing_and_it_goes_on_when_there_is_room(home: Home) -> None:
    home.keep("test_0", "old", sent_at=1.0)
    with full_disk():
        with pytest.raises(Unavailable, match="make room"):
            home.keep("test_0", "new", sent_at=2.0)
        with pytest.raises(Unavailable):
            home.ask()
    assert files(home) == {"test_0.txt": "old\n"}
    home.ask()
    home.keep("test_0", "new", sent_at=2.0)
    assert files(home)["test_0.txt"] == "new\n"


def test_a_folder_that_is_gone_is_made_anew_once_it_is_asked_for(home: Home) -> None:
    home.folder.rmdir()
    with pytest.raises(Unavailable):
        home.keep("test_0", "mr_bean", sent_at=1.0)
    home.ask()
    assert home.keep("test_0", "mr_bean", sent_at=1.0).exists()


def test_a_name_that_something_else_has_is_a_fault_of_that_result_alone(home: Home) -> None:
    (home.folder / "test_0.txt").mkdir()
    with pytest.raises(BadMessage, match="move away"):
        home.keep("test_0", "mr_bean", sent_at=1.0)
    assert home.keep("test_1", "mr_bean", sent_at=1.0).exists()


def test_what_killed_processes_left_half_made_goes_and_what_is_in_the_making_stays(home: Home) -> None:
    for name in ("old", "new"):
        (home.folder / f"{MAKING}{name}").write_text("half")
    home.tidy()
    assert len(files(home)) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("openstack_relay.home.LEFT", -1.0)
        home.tidy()
    assert files(home) == {} and LEFT > 0


def test_writers_at_the_same_time_do_not_meet(home: Home) -> None:
    def write(n: int) -> None:
        for at in range(5):
            home.keep(f"test_{at}", f"from {n}", sent_at=float(n))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: text for name, text in files(home).items() if "~" not in name} == {
        named(f"test_{at}"): "from 7\n" for at in range(5)
    }
    assert len(files(home)) == 5 * 8


def test_a_result_is_nobody_elses_to_read_where_that_is_the_rule_here(home: Home) -> None:
    before = os.umask(0o077)
    try:
        file = home.keep("test_0", "mr_bean", sent_at=1.0)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

"""What becomes of messages of the output queue: a file at home, or a dead letter, and nobody waits for another one."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from relays import Box, box, one_of

from facefleet.errors import NotFound, ServiceError, Unavailable
from openstack_relay.bringing import Bringing
from openstack_relay.home import Home
from openstack_relay.relay import Relay
from openstack_relay.spool import Spool
from openstack_relay.status import spooled

LINE = "mr_bean,lawyer,freshmen,test_0"


@dataclass
class Here:
    folder: Path
    queue: Box
    dead: Box
    spool: Spool
    wrong: ServiceError | None = None

    def opened_dead(self) -> Box:
        if self.wrong is not None:
            raise self.wrong
        return self.dead

    def take(self, text: str) -> None:
        self.queue.send(text)
        home = Home(self.folder / "results")
        Bringing(self.queue, self.opened_dead, self.spool, home, columns=("major", "year"))(one_of(self.queue))

    @property
    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.folder / "results").iterdir()}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    spool = Spool(tmp_path / "relay.db")
    (tmp_path / "results").mkdir()
    yield Here(tmp_path, box(tmp_path, "out"), box(tmp_path, "dead"), spool)
    spool.close()


def test_a_result_is_a_file_and_then_acked(here: Here) -> None:
    here.take(LINE)
    assert here.files == {"test_0.txt": "mr_bean,lawyer,freshmen\n"}
    assert here.queue.depth().backlog == 0 and spooled(here.folder / "relay.db").results == 1


def test_what_is_no_result_lies_with_the_dead_letters(here: Here) -> None:
    here.take("poison")
    (letter,) = here.dead.bodies()
    assert json.loads(letter)["requestPayload"] == "poison"
    assert here.queue.depth().backlog == 0 and spooled(here.folder / "relay.db").aside == {"output: bad_message": 1}


@pytest.mark.parametrize("error", [Unavailable("make it"), NotFound("make it")])
def test_without_a_queue_for_dead_letters_poison_waits_and_says_why_and_results_come_home(
    here: Here, error: ServiceError, caplog: pytest.LogCaptureFixture
) -> None:
    here.wrong = error
    here.take("poison")
    here.take(LINE)
    assert here.queue.depth().backlog == 1 and "make it" in caplog.text
    assert list(here.files) == ["test_0.txt"] and spooled(here.folder / "relay.db").aside == {}


def test_what_cannot_be_written_comes_again_and_so_would_the_next(here: Here) -> None:
    (here.folder / "results").rmdir()
    (here.folder / "results").write_text("a file")
    with pytest.raises(Unavailable, match="cannot be written"):
        here.take(LINE)
    assert here.queue.depth().backlog == 1


def test_a_relay_ends_well_where_its_spool_takes_no_last_word(here: Here) -> None:
    class Full(Spool):
        def beats(self, told: str) -> None:
            raise Unavailable("make room")

    here.spool.__class__ = Full
    stop = threading.Event()
    stop.set()
    Relay(here.spool, {}, timeout=1.0, keep=1.0).run(stop)

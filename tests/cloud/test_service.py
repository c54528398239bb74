"""The service as one command puts it on machines that boot: up from zero and back, through misfortune and upgrades.

A short run; `python -m bench.cloud` is the whole, with 500 uploads and 19 machines.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cloud import QUICK, from_zero, through
from bench.course import WEB, sent_evenly
from bench.deployed import UP, Deployed, another_image, deployed
from bench.local import awaited
from bench.nspawn import cannot
from bench.uploads import Upload, bursts

pytestmark = [pytest.mark.machine, pytest.mark.slow, pytest.mark.timeout(900)]

MOST = 3


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Deployed]:
    if why := cannot():
        pytest.skip(why)
    settings = QUICK | {"MAX_INSTANCES": str(MOST)}
    with deployed(tmp_path_factory.mktemp("deployed"), settings, "--warm", str(MOST)) as service:
        service.facefleet("enrol", str(photos.parent / "people"))
        yield service


@pytest.fixture
def uploads(photos: Path) -> Iterator[Upload]:
    probes = [("obama2", "obama"), ("biden", "biden")]
    images = [((photos / f"{name}.jpg").read_bytes(), answer) for name, answer in probes]
    return itertools.chain.from_iterable(bursts(images, 40))


def test_uploads_bring_all_machines_there_may_be_and_leave_none(service: Deployed, uploads: Iterator[Upload]) -> None:
    seen = from_zero(service, list(itertools.islice(uploads, 40)), None)
    assert (seen.burst_lost, seen.burst_wrong) == (0, 0)
    assert (seen.burst_most_up, seen.asked_for) == (MOST, MOST)


def test_nothing_is_lost_or_doubled_while_machines_die_and_are_upgraded(
    service: Deployed, uploads: Iterator[Upload]
) -> None:
    seen = through(service, uploads, 40, 40.0, seed=1)
    assert (seen.lost, seen.wrong, seen.doubled, seen.left) == (0, 0, 0, 0), seen
    assert (seen.leaked, seen.stale_up) == (0, 0), seen
    assert seen.most_up <= MOST, seen
    assert seen.upgraded_during, seen


def test_a_new_image_that_does_not_answer_is_taken_back_and_no_upload_is_lost(
    service: Deployed, uploads: Iterator[Upload]
) -> None:
    """Its workers and its controller work: that its web tier does not shows late."""
    bad = another_image(service, spoilt="/opt/facefleet/lib/python3.11/site-packages/web_tier")
    webs = service.named(WEB, *UP)
    said: list[str] = []

    def upgrade() -> None:
        with pytest.raises(RuntimeError) as failed:
            service.facefleet("upgrade", "--yes", "--image", bad, "--patience", "25")
        said.append(str(failed.value))

    sent = sent_evenly(service, uploads, 20, 20.0, upgrade)
    assert (sent.burst.lost, sent.burst.wrong) == (0, 0), sent
    assert "as it was before" in said[0]
    assert service.named(WEB, *UP) == webs
    # Workers work; the controller replaces them as they become free.
    awaited(
        lambda: not [one for one in service.instances() if one["image"] == bad and one["state"] in UP], "none is up"
    )

"""The whole service over a private cloud and EC2, both emulated, with workers behind their servers."""

from pathlib import Path

import pytest

from bench.burst import right_answers
from bench.hybrid import DOWN, one_burst, over_both
from bench.service import SAMPLES, images_in
from bench.timeline import draw
from bench.uploads import bursts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UPLOADS, OWN, BURST = 24, 1, 2


@pytest.mark.parametrize("down", [None, *DOWN])
def test_ones_own_come_first_and_go_last_and_all_is_answered_whatever_is_down(
    tmp_path: Path, models: Path, down: str | None
) -> None:
    sending = next(bursts(right_answers(images_in(SAMPLES / "photos")), UPLOADS))
    with over_both(tmp_path, OWN, BURST, POLICY="classic", MODELS=str(models)) as site:
        measured = one_burst(site, sending, OWN, down)
        draw(site.moments, tmp_path / "timeline.png", marks=site.marks)
    assert (measured.lost, measured.wrong, measured.left) == (0, 0, 0)
    assert (measured.most_own, measured.most_burst) == (OWN, BURST)
    assert measured.first_own
    if down is None:
        assert measured.last_own
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")

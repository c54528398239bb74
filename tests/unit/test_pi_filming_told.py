"""What video mode tells in the end is so: how long it recorded, what was kept, what went, whatever the disk says."""

import re
from pathlib import Path

from hardware import until
from standin import StandIn, of_clip
from test_pi_filming import NO_PINS, QUICK, client, folder, said
from test_pi_spool import put, spool_of

from pi_uploader.client import opened
from pi_uploader.lights import Lights
from pi_uploader.recording import Clip
from pi_uploader.settings import Settings
from pi_uploader.video import Filming, keep_next

__all__ = ["folder"]


def test_it_records_for_as_long_as_it_is_to_and_not_until_the_last_frame(folder: Path, tmp_path: Path) -> None:
    mode = ("video", "--segment", "0.2", "--interval", "60", "--seconds", "1.5")
    with (
        StandIn(of_clip("Mary")) as standin,
        client(standin.url, f"folder:{folder}", tmp_path / "data", *mode) as process,
    ):
        words = said(process)
    (clips,) = re.findall(r"^(\d+) clips of ", words, re.M)
    assert int(clips) >= 5 and "1 of 1 frames taken" in words


def test_where_the_file_cannot_be_written_all_else_is_told(folder: Path, tmp_path: Path) -> None:
    mode = ("video", *QUICK, "--seconds", "0.5", "--csv", str(tmp_path / "nowhere/seen.csv"))
    with (
        StandIn(of_clip("Mary")) as standin,
        client(standin.url, f"folder:{folder}", tmp_path / "data", *mode) as process,
    ):
        words, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "frames taken" in words and "  Mary: " in words and "name another --csv" in words


class Given:
    """A camera with these clips."""

    def __init__(self, *clips: Clip) -> None:
        self._clips = iter(clips)

    def clip(self, timeout: float) -> Clip | None:
        return next(self._clips, None)

    def close(self) -> None:
        pass


def test_a_clip_for_which_there_is_no_room_counts_as_none(tmp_path: Path) -> None:
    session, words = Filming(), list[str]()
    with StandIn(of_clip("Mary")) as standin:
        settings = Settings(url=standin.url, data=str(tmp_path), spool_bytes=10**6, free_bytes=0, **NO_PINS)
        with opened(settings, Lights(settings), words.append, session.answered, uploads=1, records=True) as client:
            client._camera = Given(*[Clip(b"\0\0\1" + bytes(size), 1e9, 0.0, 0.5) for size in (10, 2 * 10**6, 10)])
            assert [keep_next(client, session, 0.0) for _ in range(4)] == [True, True, True, False]
            until(lambda: len(session.clip_latencies) == 2)
    assert (session.came, len(session.clips)) == (3, 2)
    assert any(line.startswith("no clip 2: ") for line in words)


def test_clips_that_went_are_told_from_frames(tmp_path: Path) -> None:
    with spool_of(tmp_path, max_bytes=300) as spool:
        for label, start in (("clip-1", b"\0\0\1"), ("frame-1", b""), ("clip-2", b"\0\0\1")):
            spool.put(start.ljust(100, b"x"), taken_at=1e9, label=label)
        put(spool, size=300)
        assert (spool.lost, spool.lost_clips) == (3, 2)

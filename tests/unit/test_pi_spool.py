"""The spool of the Pi client: what was called taken is there, in order, until it is answered."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pi_uploader.disk import MAKING
from pi_uploader.service import filename
from pi_uploader.spool import Item, Spool, SpoolBusy, SpoolFull, item_of

ROOT = Path(__file__).parent.parent.parent
PNG = b"\x89PNG\r\n\x1a\n"
PUTS = """
import sys
from pathlib import Path
from pi_uploader.spool import Spool
spool = Spool(Path(sys.argv[1]), max_bytes=10**9, free_bytes=0)
while True:
    print(spool.put(b"x" * 50_000, taken_at=1e9).name, flush=True)
"""


def spool_of(folder: Path, max_bytes: int = 10_000, free_bytes: int = 0) -> Spool:
    return Spool(folder / "spool", max_bytes=max_bytes, free_bytes=free_bytes)


def put(spool: Spool, size: int = 100, label: str = "photo") -> Item:
    return spool.put(b"x" * size, taken_at=1_763_784_000.1, label=label)


def photos_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "spool").iterdir() if item_of(path.name))


def test_a_killed_process_leaves_every_photo_that_it_called_taken(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PUTS, str(tmp_path / "spool")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().split()
    with spool_of(tmp_path, 10**9) as spool:
        found = [item.name for item in spool.items()]
        assert found[: len(told)] == told
        # And perhaps one that it had no time to tell.
        assert len(found) <= len(told) + 1
        assert {len(spool.read(item)) for item in spool.items()} == {50_000}


def test_what_was_half_made_goes_and_what_is_of_others_stays(tmp_path: Path) -> None:
    (folder := tmp_path / "spool").mkdir()
    (folder / f"{MAKING}{'0' * 32}").write_bytes(b"half")
    others = ["notes.txt", "me.jpg", f"00000000007_1_{'0' * 32}_photo.jpg", f"0000000007_1_{'0' * 31}_photo.jpg"]
    for name in others:
        (folder / name).write_text("mine")
    with spool_of(tmp_path) as spool:
        assert len(spool) == 0
        spool.remove(put(spool))
    assert sorted(path.name for path in folder.iterdir() if path.name != ".lock") == sorted(others)


def test_two_processes_do_not_share_a_spool(tmp_path: Path) -> None:
    with spool_of(tmp_path), pytest.raises(SpoolBusy, match="stop that first, or name a --data"):
        spool_of(tmp_path)
    with spool_of(tmp_path) as spool:
        assert put(spool).number == 1


def test_the_next_process_asks_by_the_same_name_as_the_first(tmp_path: Path) -> None:
    # Rounded, it falls into the next second; the service would take it for another photo under the same key.
    with spool_of(tmp_path) as spool:
        item = spool.put(b"x", taken_at=1_763_784_000.9996)
    with spool_of(tmp_path) as spool:
        (again,) = spool.items()
        assert (again, filename(again), again.taken_at) == (item, filename(item), item.taken_at)


def test_oldest_frames_make_room_and_photos_never_do(tmp_path: Path) -> None:
    with spool_of(tmp_path, max_bytes=300) as spool:
        photo, first, _ = put(spool), put(spool, label="frame-1"), put(spool, label="frame-2")
        third = put(spool, label="frame-3")
        assert [item.label for item in spool.items()] == ["photo", "frame-2", "frame-3"]
        assert (spool.lost, (tmp_path / "spool" / first.name).exists()) == (1, False)
        put(spool, size=200)
        assert [item.label for item in spool.items()] == ["photo", "photo"]
        with pytest.raises(SpoolFull, match=r"no room .* 2 captures wait .* or raise spool_bytes"):
            put(spool, size=1)
        assert photo in spool.items() and third not in spool.items()


def test_no_frame_goes_for_a_photo_that_does_not_fit_all_the_same(tmp_path: Path) -> None:
    with spool_of(tmp_path, max_bytes=300) as spool:
        put(spool, label="frame-1")
        with pytest.raises(SpoolFull):
            put(spool, size=301)
        assert [item.label for item in spool.items()] == ["frame-1"]


def test_a_frame_in_hand_is_not_pulled_from_under_its_sender(tmp_path: Path) -> None:
    with spool_of(tmp_path, max_bytes=200) as spool:
        put(spool, label="frame-1"), put(spool, label="frame-2")
        in_hand = spool.take(0)
        put(spool, label="frame-3")
        assert [item.label for item in spool.items()] == ["frame-1", "frame-3"]
        assert in_hand is not None and spool.read(in_hand)


def test_captures_from_many_threads_stay_within_bounds_and_on_the_disk(tmp_path: Path) -> None:
    with spool_of(tmp_path, max_bytes=1000) as spool:
        threads = [threading.Thread(target=lambda: [put(spool, label="frame-1") for _ in range(30)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert photos_in(tmp_path) == [item.name for item in spool.items()]
        assert len(spool) <= 10
        assert spool.lost == 120 - len(spool)


def test_a_disk_without_room_refuses_in_words_and_keeps_what_is_there(tmp_path: Path) -> None:
    with spool_of(tmp_path) as spool:
        item = put(spool)
    with spool_of(tmp_path, free_bytes=10**15) as spool:
        with pytest.raises(SpoolFull, match="MB of the disk are free"):
            put(spool)
        assert spool.items() == [item]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root mounts")
def test_a_full_disk_refuses_the_photo_and_takes_the_next_once_there_is_room(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path], check=True, timeout=60)  # noqa: S607
    try:
        # It fits by the sum, and not by the blocks that others fill meanwhile.
        with spool_of(tmp_path, 10**9) as spool:
            (tmp_path / "others").write_bytes(b"x" * 40_000)
            with pytest.raises(SpoolFull, match=r"no room|cannot be written"):
                put(spool, 30_000)
            assert (len(spool), [path.name for path in (tmp_path / "spool").iterdir()]) == (0, [".lock"])
            (tmp_path / "others").unlink()
            assert spool.read(put(spool, 30_000)) == b"x" * 30_000
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True, timeout=60)  # noqa: S607


@pytest.mark.skipif(os.name == "nt", reason="Windows limits no sizes")
def test_a_disk_that_takes_half_of_a_photo_keeps_none_of_it(tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with spool_of(tmp_path, 10**9) as spool:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
            with pytest.raises(SpoolFull, match=r"cannot be written \(File too large\): the capture is not taken"):
                put(spool, 300_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert (len(spool), [path.name for path in (tmp_path / "spool").iterdir()]) == (0, [".lock"])
        assert spool.take(0) is None and put(spool) == spool.take(0)


def test_a_folder_that_is_gone_refuses_the_photo_in_words(tmp_path: Path) -> None:
    with spool_of(tmp_path) as spool:
        (tmp_path / "spool").rename(tmp_path / "elsewhere")
        with pytest.raises(SpoolFull, match="spool cannot be used"):
            put(spool)
        assert len(spool) == 0


def test_a_photo_that_somebody_deleted_is_missed_when_it_is_read(tmp_path: Path) -> None:
    with spool_of(tmp_path) as spool:
        item = put(spool)
        (tmp_path / "spool" / item.name).unlink()
        with pytest.raises(FileNotFoundError):
            spool.read(item)
        spool.remove(item)
        spool.remove(item)
        assert len(spool) == 0


@pytest.mark.parametrize("label", ["", "a/b", "../a", "a\\b", "a\0b", "ä" * 76])
def test_a_label_that_is_no_part_of_a_name_is_refused(tmp_path: Path, label: str) -> None:
    with spool_of(tmp_path) as spool, pytest.raises(ValueError, match="no part of a file's name"):
        put(spool, label=label)


def test_a_png_is_called_one(tmp_path: Path) -> None:
    with spool_of(tmp_path) as spool:
        assert spool.put(PNG, taken_at=0).name.endswith("_photo.png")


def test_who_waits_is_woken_by_a_capture_and_by_one_that_comes_back(tmp_path: Path) -> None:
    with spool_of(tmp_path) as spool:
        taken: list[Item | None] = []
        for act in (lambda: put(spool), lambda: spool.give_back(spool.items()[0])):
            waiting = threading.Thread(target=lambda: taken.append(spool.take(30)))
            waiting.start()
            act()
            waiting.join(20)
        assert taken == [spool.items()[0]] * 2
        assert spool.take(0.01) is None


def test_what_comes_back_has_its_old_place_unless_others_are_to_go_first(tmp_path: Path) -> None:
    with spool_of(tmp_path) as spool:
        first, second, third = (put(spool) for _ in range(3))
        assert spool.take(0) == first
        spool.give_back(first)
        assert spool.take(0) == first
        spool.give_back(first, last=True)
        spool.give_back(first)
        assert [spool.take(0) for _ in range(4)] == [second, third, first, None]
        spool.give_back(second, last=True)
        spool.give_back(third)
        assert [spool.take(0), spool.take(0)] == [third, second]


@pytest.mark.parametrize(
    ("capture", "suffix", "is_clip"),
    [
        (b"\xff\xd8\xff", "jpg", False),
        (b"\x89PNG", "png", False),
        (b"\0\0\0\x18ftypisom", "mp4", True),
        (b"\0\0\0\1\x67", "h264", True),
        (b"\0\0\1\x67", "h264", True),
        (b"whatever", "jpg", False),
    ],
)
def test_what_a_capture_is_stands_in_its_name_for_the_next_process_too(
    capture: bytes, suffix: str, is_clip: bool, tmp_path: Path
) -> None:
    with spool_of(tmp_path) as spool:
        spool.put(capture, taken_at=1.0, label="clip-1")
    with spool_of(tmp_path) as spool:
        (item,) = spool.items()
    assert (item.suffix, item.is_clip) == (suffix, is_clip)


def test_clips_make_room_as_frames_do(tmp_path: Path) -> None:
    with spool_of(tmp_path, max_bytes=300) as spool:
        put(spool), put(spool, label="clip-1"), put(spool, label="frame-1")
        put(spool)
        assert [item.label for item in spool.items()] == ["photo", "frame-1", "photo"]
        assert spool.lost == 1

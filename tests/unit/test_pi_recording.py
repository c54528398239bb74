"""From frames to clips, between two threads: in order, bounded, and with an end where the camera fails."""

import io
import threading
import time
from itertools import count, pairwise
from pathlib import Path

import av
import numpy
import pytest
from hardware import until

from pi_uploader import recording
from pi_uploader.camera import CameraFailed, NoCamera, open_camera
from pi_uploader.encoder import Encoder
from pi_uploader.recording import Recorder, Reel

SETS = b"\0\0\0\1\x67sps" + b"\0\0\0\1\x68pps"
KEY = SETS + b"\0\0\0\1\x65" + b"k" * 9


def grey(number: int) -> numpy.ndarray:
    return numpy.full((48, 64, 3), 4 * (number % 60), "uint8")


def numbers(clip: bytes) -> list[int]:
    with av.open(io.BytesIO(clip)) as container:
        return [round(float(frame.to_ndarray(format="gray").mean()) / 4) for frame in container.decode(video=0)]


class Paced:
    """A camera of 100 frames a second, each with its number, that fails after `last` of them."""

    def __init__(self, last: int) -> None:
        self._last, self._began = last, time.monotonic()
        self._numbers = count()

    def frame(self) -> int:
        number = next(self._numbers)
        if number == self._last:
            raise CameraFailed("unplugged")
        time.sleep(max(0.0, self._began + number / 100 - time.monotonic()))
        return number

    def photo_of(self, frame: int) -> bytes:
        return str(frame).encode()

    def pixels_of(self, frame: int) -> numpy.ndarray | None:
        return None if frame == 3 else grey(frame)


def clips_of(reel: Reel) -> list[recording.Clip]:
    found = []
    with pytest.raises(CameraFailed, match="unplugged"):
        while clip := reel.clip(20.0):
            found.append(clip)
    return found


def test_no_frame_is_missing_between_two_clips_but_what_came_damaged() -> None:
    recorder = Recorder(Paced(55), Reel(0.2, "h264"), Encoder(100))
    clips = clips_of(recorder.reel)
    recorder.end()
    assert [n for clip in clips for n in numbers(clip.data)] == [n for n in range(55) if n != 3]
    assert all(after.began - before.ended < 0.2 for before, after in pairwise(clips))
    assert clips[1].taken_at - clips[0].taken_at == pytest.approx(clips[1].began - clips[0].began, abs=1e-6)


class Held(Paced):
    """Gives a frame when it is told to."""

    def __init__(self) -> None:
        super().__init__(last=1000)
        self.exposing, self.done = threading.Semaphore(0), threading.Semaphore(0)

    def frame(self) -> int:
        number = next(self._numbers)
        self.exposing.release()
        assert self.done.acquire(timeout=20)
        return number


def test_a_photo_is_of_a_frame_whose_exposure_began_after_it_was_wanted() -> None:
    source, photos = Held(), list[bytes]()
    recorder = Recorder(source, Reel(0.2, "h264"), Encoder(100))
    assert source.exposing.acquire(timeout=20)
    wanting = threading.Thread(target=lambda: photos.append(recorder.still()))
    wanting.start()
    until(lambda: recorder._wishes.qsize())
    for _ in range(3):
        source.done.release()
    wanting.join(20)
    assert photos == [b"1"]
    source.done.release(100)
    recorder.end()


def test_a_camera_that_fails_gives_no_photo_and_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "PATIENCE", 0.1)
    recorder = Recorder(Paced(0), Reel(0.2, "h264"), Encoder(100))
    with pytest.raises(CameraFailed):
        recorder.still()
    with pytest.raises(CameraFailed, match="unplugged"):
        recorder.reel.clip(20.0)
    recorder.end()


def test_a_recording_without_frames_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "PATIENCE", 0.1)
    reel = Reel(0.2, "h264")
    assert reel.clip(0.0) is None
    with pytest.raises(CameraFailed, match="gave no frame"):
        reel.clip(0.5)


def test_clips_that_nobody_keeps_are_bounded_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_CLIPS", 3)
    reel = Reel(1.0, "h264")
    for second in range(10):
        reel.add(KEY, float(second))
    reel.end()
    assert [clip.began for _ in range(4) if (clip := reel.clip(0.0))] == [7.0, 8.0, 9.0]


def test_what_is_no_h264_is_no_mp4_and_says_what_to_set() -> None:
    reel = Reel(1.0, "mp4")
    reel.add(KEY, 0.0)
    reel.end()
    with pytest.raises(CameraFailed, match="set clip to h264"):
        reel.clip(0.0)


def test_clips_of_a_folder_come_in_turn_one_in_each_span(tmp_path: Path) -> None:
    for name in ("b.h264", "a.h264"):
        (tmp_path / name).write_bytes(KEY + name.encode())
    (tmp_path / "c.h264").write_bytes(b"")
    camera = open_camera(f"folder:{tmp_path}", (320, 240))
    with pytest.raises(NoCamera, match=r"put a \.jpg"):
        camera.still()
    assert camera.clip(0.0) is None
    began = time.monotonic()
    camera.record(0.1, "mp4")
    assert camera.clip(0.0) is None
    clips = [clip for _ in range(3) if (clip := camera.clip(5.0))]
    assert [clip.data[-6:-5] for clip in clips] == [b"a", b"b", b"a"]
    assert 0.3 <= time.monotonic() - began < 3
    camera.end()
    assert camera.clip(0.0) is None


@pytest.mark.parametrize(("name", "told"), [("a.jpg", "no clips in"), ("a.mp4", "can be read as h264 or mp4")])
def test_a_folder_without_clips_says_what_it_lacks(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    camera = open_camera(f"folder:{tmp_path}", (320, 240))
    with pytest.raises((NoCamera, CameraFailed), match=told):
        camera.record(0.05, "mp4")
        camera.clip(1.0)


def test_clips_that_wait_for_a_slow_disk_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_BYTES", 3 * len(KEY))
    reel = Reel(0.5, "h264")
    for number in range(10):
        reel.add(KEY, 1.0 + 0.5 * number)
    reel.end()
    left = [reel.clip(0.0) for _ in range(4)]
    assert [clip and clip.began for clip in left] == [4.5, 5.0, 5.5, None]

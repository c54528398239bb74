"""Video mode, as the program that it is: clips on end and frames, sent while it records, by each entrance."""

import csv
import io
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy
import pytest
from hardware import until
from PIL import Image
from standin import Entrance, StandIn, of_clip
from test_pi_segments import recorded

from pi_uploader import video
from pi_uploader.client import opened
from pi_uploader.encoder import as_mp4
from pi_uploader.lights import Lights
from pi_uploader.live import MAX_FRAMES, Ending
from pi_uploader.settings import BadSettings, Settings
from pi_uploader.video import Filming, check_length, film, in_words

ROOT = Path(__file__).parents[2]
NO_PINS = {f"{name}_pin": 0 for name in ("button", "working", "known", "unknown", "offline")}
QUICK = ("--segment", "0.2", "--interval", "0.1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A camera with photos, and with clips in both forms."""
    (folder := tmp_path / "camera").mkdir()
    Image.new("RGB", (64, 48)).save(folder / "a.jpg")
    for number, segment in enumerate(recorded(30)):
        (folder / f"{number}.h264").write_bytes(segment.data)
        (folder / f"{number}.mp4").write_bytes(as_mp4(segment))
    return folder


@contextmanager
def client(url: str, camera: Path | str, data: Path, *mode: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "pi_uploader", "--url", url, "--camera", str(camera), "--data", str(data)]
    env = os.environ | {"HOME": str(data.parent)}
    with subprocess.Popen([*command, *mode], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    words, _ = process.communicate(timeout=60)
    assert process.returncode == 0, words
    return words


def clips_sent(standin: StandIn) -> dict[str, bytes]:
    """By their key."""
    posts = [asked for asked in standin.asked if asked.path.startswith("/v1/videos?") and asked.method == "POST"]
    return {asked.headers["Idempotency-Key"]: asked.body for asked in posts}


def test_clips_and_frames_are_answered_while_it_records_and_who_was_seen_is_told(folder: Path, tmp_path: Path) -> None:
    mode = ("video", *QUICK, "--seconds", "3")
    with StandIn(Entrance()) as standin, client(standin.url, f"folder:{folder}", tmp_path / "data", *mode) as process:
        until(lambda: len(standin.asked) > 5)
        assert process.poll() is None, "they are sent while it goes on"
        words = said(process)
    clips, taken, answered = re.findall(
        r"^(\d+) clips of ([\d.]+) s in all taken, (\d+) answered, 0 lost$", words, re.M
    )[0]
    frames, planned = re.findall(r"^(\d+) of (\d+) frames taken, \1 answered", words, re.M)[0]
    assert int(clips) == int(answered) >= 12 and float(taken) > 2
    assert int(planned) == 30 and int(frames) >= 20
    assert "clip 1: Mary (similarity 0.97) (" in words and "frame 1: Mary" in words
    assert "from the last frame of a clip to the first of the next: at most" in words
    assert set(clips_sent(standin).values()) <= {path.read_bytes() for path in folder.iterdir()}
    with (tmp_path / "data/seen.csv").open(newline="") as file:
        (seen,) = csv.DictReader(file)
    assert seen["person"] == "Mary" and int(seen["frames"]) == int(clips) + int(frames)


@pytest.mark.parametrize(
    ("record", "has", "lacks"),
    [("clips", "/v1/videos", "/v1/recognitions"), ("frames", "/v1/recognitions", "/v1/videos")],
)
def test_either_can_be_left_out(record: str, has: str, lacks: str, folder: Path, tmp_path: Path) -> None:
    mode = ("video", *QUICK, "--seconds", "1", "--record", record)
    with StandIn(of_clip("Mary")) as standin:
        with client(standin.url, f"folder:{folder}", tmp_path / "data", *mode) as process:
            words = said(process)
        paths = {asked.path.partition("?")[0] for asked in standin.asked}
    assert paths == {has} and lacks not in words


def test_a_folder_with_clips_alone_gives_these(folder: Path, tmp_path: Path) -> None:
    (folder / "a.jpg").unlink()
    mode = ("video", *QUICK, "--seconds", "1")
    with (
        StandIn(of_clip("Mary")) as standin,
        client(standin.url, f"folder:{folder}", tmp_path / "data", *mode) as process,
    ):
        words = said(process)
    assert "no frames: there are no photos in" in words and " clips of " in words
    assert "frames taken" not in words


@pytest.mark.parametrize("mode", ["video", "live", "button"])
def test_by_signed_urls_all_modes_are_answered(mode: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pi.toml").write_text('upload = "presigned"\nbutton_pin = 0\n')
    options = {"video": (*QUICK, "--seconds", "1"), "live": ("--interval", "0.1", "--seconds", "1"), "button": ()}[mode]
    entrance = Entrance(looks=2)
    with StandIn(entrance) as standin:
        arguments = ("--settings", str(tmp_path / "pi.toml"), mode, *options)
        with client(standin.url, f"folder:{folder}", tmp_path / "data", *arguments) as process:
            if mode == "button":
                until((tmp_path / "data/spool/.lock").exists)
                process.send_signal(signal.SIGUSR1)
                until(lambda: "Mary" in answers(tmp_path))
                process.terminate()
            words = said(process)
    assert entrance.uploads == len(entrance.put) == words.count("Mary (similarity") > 0
    assert not list((tmp_path / "data/spool").glob("*_*"))
    assert not any(asked.path.startswith("/v1/") and len(asked.body) > 400 for asked in standin.asked)


def answers(tmp_path: Path) -> str:
    path = tmp_path / "data/answers.csv"
    return path.read_text() if path.exists() else ""


@pytest.fixture
def film_of_a_camera(tmp_path: Path) -> str:
    """A video in place of a camera on USB."""
    cv2 = pytest.importorskip("cv2")
    place = tmp_path / "camera.avi"
    writer = cv2.VideoWriter(str(place), cv2.VideoWriter.fourcc(*"MJPG"), 15, (320, 240))
    for number in range(3000):
        writer.write(numpy.full((240, 320, 3), number % 200, "uint8"))
    writer.release()
    return f"usb:{place}"


def test_a_kill_in_the_midst_sends_no_half_of_a_clip_and_loses_none_that_was_taken(
    film_of_a_camera: str, tmp_path: Path
) -> None:
    chance, data, taken = random.Random(3), tmp_path / "data", set[str]()
    with StandIn(of_clip("Mary")) as standin:
        for _ in range(6):
            with client(standin.url, film_of_a_camera, data, "video", *QUICK, "--record", "clips") as process:
                sent = len(clips_sent(standin))
                until(lambda sent=sent: len(clips_sent(standin)) > sent)
                time.sleep(chance.random() * 0.3)
                process.kill()
            taken |= {path.name.split("_")[2] for path in (data / "spool").glob("*_clip-*")}
        with client(standin.url, film_of_a_camera, data, "video", *QUICK, "--seconds", "0.5") as process:
            said(process)
        clips = clips_sent(standin)
    assert taken <= set(clips), "what was taken is sent by the next one"
    assert len(clips) > 6
    for clip in clips.values():
        with av.open(io.BytesIO(clip), format="h264") as container:
            frames = list(container.decode(video=0))
        assert frames[0].key_frame and len(frames) >= 1
    with (data / "answers.csv").open(newline="") as file:
        keys = [line["key"] for line in csv.DictReader(file) if line["label"].startswith("clip")]
    assert sorted(keys) == sorted(clips), "each has one answer"


def test_a_camera_that_fails_meanwhile_is_opened_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "RETRY", 0.05)
    cv2 = pytest.importorskip("cv2")
    writer = cv2.VideoWriter(str(tmp_path / "short.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 15, (320, 240))
    for number in range(60):
        writer.write(numpy.full((240, 320, 3), number, "uint8"))
    writer.release()
    words, session, ending = list[str](), Filming(), Ending()
    with StandIn(of_clip("Mary")) as standin:
        # Each time it is opened the video is over after some clips.
        camera = f"usb:{tmp_path / 'short.avi'}"
        settings = Settings(
            url=standin.url,
            camera=camera,
            data=str(tmp_path),
            segment_seconds=0.2,
            seconds=60.0,
            free_bytes=0,
            record="clips",
            **NO_PINS,
        )
        with opened(settings, Lights(settings), words.append, session.answered, uploads=1, records=True) as client:
            threading.Thread(target=end_after, args=(session, ending, 4), daemon=True).start()
            film(client, session, ending, csv=tmp_path / "seen.csv")
    assert sum("no clips: camera" in line and "gave no frame" in line for line in words) >= 1
    assert len(session.clips) == len(session.clip_latencies) >= 4


def end_after(session: Filming, ending: Ending, clips: int) -> None:
    until(lambda: len(session.clips) >= clips)
    ending.ask()


def test_the_summary_says_how_many_and_how_long_there_was_none() -> None:
    session = Filming(clips=[(0.0, 0.4), (0.5, 0.9), (1.2, 1.6)], clip_latencies=[0.1, 0.3])
    told = list(in_words(session, lost=2))
    assert told[0] == "3 clips of 1.2 s in all taken, 2 answered, 2 lost"
    assert "p50 200 ms" in told[1]
    assert told[2].endswith("at most 300 ms")


def test_more_clips_than_can_be_told_of_are_refused_before_the_first() -> None:
    with pytest.raises(BadSettings, match="longer clips"):
        check_length(Settings(segment_seconds=0.5, interval=60.0, seconds=MAX_FRAMES * 0.5 + 1))

"""Clips that say of themselves what is not so: none takes more time or memory than it may, and good ones are read."""

import subprocess
import sys
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import pytest
from av.stream import Disposition
from clips import clip_of, sound_alone
from PIL import Image

from facefleet.clipfile import Bounds
from facefleet.errors import BadImage
from facefleet.recognition import memory
from facefleet.recognition.video import MEMORY, opened

BOUNDS = Bounds(max_pixels=9_000_000, max_seconds=60.0, interval=0.1, effort=25.0)
RED, BLUE = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
CLIP = clip_of((RED, 0.5))
#: What opens a clip, and tells how much memory its process has taken at most, in kilobytes.
LOOK = """
import sys
from pathlib import Path
from facefleet.clipfile import Bounds
from facefleet.errors import BadImage
from facefleet.recognition.video import opened
bounds, code = Bounds(max_pixels=9_000_000, max_seconds=60.0, interval=0.1, effort=25.0), ""
try:
    with opened(Path(sys.argv[1]).read_bytes(), bounds) as clip:
        list(clip.frames())
except BadImage as e:
    code = e.code
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], code)
"""
#: Of Python with FFmpeg, numpy and Pillow, in kilobytes, and the file itself, twice.
BESIDE = 150_000


def many_samples(count: int) -> bytes:
    """An MP4 whose table tells of so many frames of a byte each, all in the first chunk."""
    clip = CLIP
    for box, at, number in ((b"stsz", 8, 1), (b"stsz", 12, count), (b"stsc", 16, count)):
        place = clip.index(box) + at
        clip = clip[:place] + number.to_bytes(4, "big") + clip[place + 4 :]
    return clip


def nothing_but_delimiters(count: int) -> bytes:
    """A stream of H.264 where frame after frame begins, and none comes."""
    return clip_of((RED, 0.2), kind="h264") + b"\0\0\0\1\x09\xf0" * count


def huge_frames() -> bytes:
    return clip_of((Image.new("RGB", (8192, 8192)), 0.2), kind="h264")


@pytest.mark.parametrize(
    ("clip", "at_most", "code"),
    [
        (lambda: many_samples(80_000_000), MEMORY / 1000, "damaged_video"),
        (lambda: nothing_but_delimiters(500_000), MEMORY / 1000, "damaged_video"),
        # Refused before one of them is decoded, which takes 100 MB.
        (huge_frames, 0.0, "too_many_pixels"),
    ],
    ids=["frames told of", "frames begun", "huge frames"],
)
def test_a_small_file_takes_no_large_memory(tmp_path: Path, clip: object, at_most: float, code: str) -> None:
    (file := tmp_path / "a").write_bytes(clip())  # type: ignore[operator]
    told = subprocess.run([sys.executable, "-c", LOOK, file], capture_output=True, text=True, timeout=60, check=True)
    kilobytes, _, answered = told.stdout.strip().partition(" ")
    assert (int(kilobytes) < BESIDE + at_most, answered) == (True, code), kilobytes


def test_a_bound_on_memory_holds_while_it_lasts_and_no_longer() -> None:
    with memory.at_most(50_000_000):
        assert len(bytearray(10_000_000)) == 10_000_000
        with pytest.raises(MemoryError):
            bytearray(200_000_000)
    assert len(bytearray(200_000_000)) == 200_000_000


def element(id: str, data: bytes) -> bytes:
    """Of EBML (RFC 8794): what Matroska is made of."""
    return bytes.fromhex(id) + (len(data) | 1 << 56).to_bytes(8, "big") + data


def without_frames(packets: int) -> bytes:
    """A Matroska of AV1 in whose packets each time a frame is announced, and none follows."""
    head = element("1A45DFA3", element("4282", b"matroska"))
    size = element("B0", b"\x40") + element("BA", b"\x30")
    track = element("D7", b"\1") + element("83", b"\1") + element("86", b"V_AV1") + element("E0", size)
    cluster = element("E7", b"\0") + element("A3", b"\x81\0\0\x80\x12\0") * packets
    return head + element("18538067", element("1654AE6B", element("AE", track)) + element("1F43B675", cluster))


def test_packets_without_any_frame_take_no_more_work_than_allowed() -> None:
    bounds = Bounds(max_pixels=9_000_000, max_seconds=60.0, interval=0.1, effort=0.0)
    with opened(without_frames(1000), bounds) as clip:
        assert list(clip.frames()) == []
    assert clip.cut
    with opened(without_frames(10), BOUNDS) as clip, pytest.raises(BadImage):
        list(clip.frames())


@pytest.mark.parametrize("kind", ["mp4", "mov", "matroska"])
def test_a_title_in_an_old_encoding_is_no_damage(kind: str) -> None:
    clip = clip_of((RED, 0.5), kind=kind)
    assert b"Lavf" in clip
    with opened(clip.replace(b"Lavf", b"Caf\xe9"), BOUNDS) as frames:
        assert len(list(frames.frames())) == 5


def with_sleeve(clip: bytes, kind: str) -> bytes:
    """The clip behind a still picture, blue, as players show it beside a song."""
    BLUE.save(picture := BytesIO(), "JPEG")
    source, file = av.open(BytesIO(clip)), BytesIO()
    with av.open(file, "w", format=kind) as container:
        sleeve = container.add_stream("mjpeg", rate=1)
        sleeve.width, sleeve.height, sleeve.pix_fmt = 64, 48, "yuvj420p"
        sleeve.disposition = Disposition.attached_pic
        streams = {one.index: container.add_stream_from_template(one) for one in source.streams}
        packet = av.Packet(picture.getvalue())
        packet.stream, packet.time_base, packet.pts, packet.dts = sleeve, Fraction(1, 1000), 0, 0
        container.mux(packet)
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["mp4", "matroska"])
def test_the_picture_on_a_sleeve_is_not_the_video(kind: str) -> None:
    with opened(with_sleeve(CLIP, kind), BOUNDS) as clip:
        frames = [frame.picture.whole(8).getpixel((4, 3)) for frame in clip.frames()]
    assert len(frames) == 5 and all(red > blue for red, _, blue in frames) and not clip.cut


def test_a_song_with_a_picture_on_its_sleeve_is_no_video() -> None:
    with pytest.raises(BadImage) as caught, opened(with_sleeve(sound_alone(), "mp4"), BOUNDS):
        pass
    assert caught.value.code == "no_video_stream"


def test_pictures_of_a_rare_kind_are_not_decoded() -> None:
    file = BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_image(RED)))
        container.mux(stream.encode(None))
    with pytest.raises(BadImage) as caught, opened(file.getvalue(), BOUNDS):
        pass
    assert caught.value.code == "not_a_video"


@pytest.mark.parametrize("side", [62, 64])
def test_a_frame_of_as_many_pixels_as_allowed_is_read(side: int) -> None:
    clip = clip_of((Image.new("RGB", (side * 16, side * 9)), 0.3))
    with opened(clip, Bounds(max_pixels=side * 16 * side * 9, max_seconds=60.0, interval=0.1, effort=25.0)) as frames:
        assert len(list(frames.frames())) == 3

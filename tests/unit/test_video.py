"""Frames of clips: which of them are looked at, of what kinds, and what becomes of files that are no good."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from clips import CODECS, clip_of, sound_alone
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facefleet.clipfile import HEAD, Bounds, is_clip, kind_of
from facefleet.errors import BadImage
from facefleet.recognition.video import opened

BOUNDS = Bounds(max_pixels=9_000_000, max_seconds=60.0, interval=0.1, effort=25.0)
RED, BLUE = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
#: Made once: to encode them takes longer than all else here.
CLIP = clip_of((RED, 1.0), (BLUE, 1.0))
STREAM = clip_of((RED, 1.0), kind="h264")


def times(clip: bytes | Path, **bounds: float) -> list[float]:
    with opened(clip, bounded(**bounds)) as frames:
        return [frame.at for frame in frames.frames()]


def bounded(**bounds: float) -> Bounds:
    return Bounds(**({name: getattr(BOUNDS, name) for name in BOUNDS.__slots__} | bounds))


def colour(picture: object) -> str:
    red, _, blue = picture.whole(8).getpixel((4, 3))  # type: ignore[attr-defined]
    return "red" if red > blue else "blue"


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(BadImage) as caught:
        act()
    return caught.value.code


@pytest.mark.parametrize("kind", CODECS)
def test_a_clip_of_each_kind_gives_its_frames_in_order(kind: str) -> None:
    clip = clip_of((RED, 1.0), (BLUE, 0.5), kind=kind)
    with opened(clip, bounded(interval=0.0)) as frames:
        colours = [colour(frame.picture) for frame in frames.frames()]
    assert colours == ["red"] * 10 + ["blue"] * 5
    assert not frames.cut


def test_a_clip_on_the_disk_gives_the_same_frames(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(CLIP)
    assert times(tmp_path / "a.mp4") == times(CLIP)


def test_frames_an_interval_apart_are_looked_at() -> None:
    assert times(CLIP, interval=0.5) == [0.0, 0.5, 1.0, 1.5]


@given(interval=st.floats(0.0, 3.0))
@settings(max_examples=25, deadline=None)
def test_the_first_frame_is_looked_at_and_none_sooner_than_it_is_due(interval: float) -> None:
    found = times(CLIP, interval=interval)
    assert found[0] == 0.0
    assert all(late - early > interval - 0.1 for early, late in pairwise(found))
    assert len(found) <= (20 if interval < 0.1 else 1.9 / interval + 1.1)


def test_a_clip_is_looked_at_no_further_than_allowed() -> None:
    with opened(CLIP, bounded(max_seconds=0.7)) as frames:
        assert len(list(frames.frames())) == 8
    assert (frames.cut, frames.until, frames.seconds) == (True, 0.7, 2.0)


def test_a_clip_that_takes_too_much_work_is_left_where_it_is() -> None:
    with opened(CLIP, bounded(effort=0.0)) as frames:
        assert list(frames.frames()) == []
    assert frames.cut


def test_an_hour_costs_no_more_than_what_is_looked_at() -> None:
    hour = clip_of((RED, 3600.0), rate=1)
    with opened(hour, bounded(max_seconds=3.0)) as frames:
        assert len(list(frames.frames())) == 4
    assert (frames.cut, frames.seconds) == (True, 3600.0)


def test_sound_beside_the_picture_is_passed_over() -> None:
    assert len(times(clip_of((RED, 1.0), sound=True))) == 10


@pytest.mark.parametrize(("degrees", "above"), [(90, "red"), (270, "blue")])
def test_a_clip_that_was_stored_lying_is_upright(degrees: int, above: str) -> None:
    """As phones store them: turned by what the file says, as FFmpeg's own players turn it."""
    left_red = Image.fromarray(np.hstack([np.asarray(RED), np.asarray(BLUE)]))
    with opened(turned(left_red, degrees), BOUNDS) as frames:
        picture = next(frames.frames()).picture
    assert (picture.width, picture.height) == (48, 128)
    red, _, blue = picture.whole(128).getpixel((24, 10))  # type: ignore[misc]
    assert ("red" if red > blue else "blue") == above


def turned(image: Image.Image, degrees: int) -> bytes:
    """A clip whose file says that it is to be turned: the matrix of its track's header (ISO/IEC 14496-12, 8.3.2)."""
    clip = bytearray(clip_of((image, 0.5)))
    at = clip.index(b"tkhd") + 4 + 40
    quarter = {90: (0, 1, -1, 0), 270: (0, -1, 1, 0)}[degrees]
    for place, value in zip((0, 1, 3, 4), quarter, strict=True):
        clip[at + 4 * place : at + 4 * place + 4] = (value * 65536).to_bytes(4, "big", signed=True)
    return bytes(clip)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "empty_file"),
        (b"GIF89a" + bytes(20), "not_a_video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not_a_video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not_a_video"),
        (CLIP[:300], "damaged_video"),
        (CLIP[: len(CLIP) // 2], "damaged_video"),
        (STREAM[:40], "damaged_video"),
        (b"\x00\x00\x00\x01\x67" + bytes(100), "damaged_video"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "damaged_video"),
        (sound_alone(), "no_video_stream"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_clip_is_refused_with_a_reason(file: bytes, code: str) -> None:
    assert code_of(lambda: times(file)) == code


def test_frames_too_large_for_our_memory_are_refused() -> None:
    assert code_of(lambda: times(CLIP, max_pixels=64 * 48 - 1)) == "too_many_pixels"


def test_frames_that_grow_in_the_middle_are_not_decoded() -> None:
    larger = clip_of((RED.resize((640, 480)), 0.5), kind="h264")
    with opened(STREAM + larger, bounded(max_pixels=64 * 48, interval=0.0)) as frames:
        try:
            sizes = {(frame.picture.width, frame.picture.height) for frame in frames.frames()}
        except BadImage as e:
            assert e.code == "too_many_pixels"
        else:
            assert (sizes, frames.cut) == ({(64, 48)}, True)


def test_what_comes_behind_damage_is_not_missed_by_what_came_before_it() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (4, 48, 64, 3), np.uint8)
    clip = clip_of(*((Image.fromarray(image), 0.5) for image in noise), kind="matroska")
    with opened(clip[: len(clip) * 2 // 3], BOUNDS) as frames:
        assert 0 < len(list(frames.frames())) < 20


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_clip_gives_some_frames_or_a_reason(data: st.DataObject) -> None:
    clip = bytearray(data.draw(st.sampled_from([CLIP, STREAM])))
    for _ in range(data.draw(st.integers(1, 20))):
        clip[data.draw(st.integers(0, len(clip) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = times(bytes(clip), effort=5.0)
    except BadImage as e:
        assert e.code in {"damaged_video", "not_a_video", "no_video_stream", "too_many_pixels"}
    else:
        assert found == sorted(found)


@given(st.binary(max_size=HEAD))
def test_any_first_bytes_are_a_kind_or_none(data: bytes) -> None:
    if is_clip(data):
        assert kind_of(data) in {"mp4", "matroska", "h264"}
    else:
        assert code_of(lambda: kind_of(data)) == ("not_a_video" if data else "empty_file")


def test_ffmpeg_says_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadImage):
        times(STREAM[:40])
    times(CLIP)
    assert capfd.readouterr() == ("", "")
    assert av.logging.get_level() is None

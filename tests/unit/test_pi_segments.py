"""A recording in clips: each can be played alone, and no frame is missing between two of them."""

import io

import av
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_uploader.encoder import Encoder, as_mp4
from pi_uploader.forms import suffix_of
from pi_uploader.segments import Cutter, Segment, look_at

SIZE = (64, 48)
SETS = b"\0\0\0\1\x67sps" + b"\0\0\0\1\x68pps"
KEY, OTHER = b"\0\0\0\1\x65" + b"k" * 9, b"\0\0\0\1\x41" + b"o" * 9


def recorded(frames: int, *, rate: int = 20, seconds: float = 0.5) -> list[Segment]:
    """Frames that tell their number by how bright they are."""
    encoder, cutter = Encoder(rate), Cutter(seconds)
    found = []
    for number in range(frames):
        at = 100.0 + number / rate
        pixels = numpy.full((SIZE[1], SIZE[0], 3), 4 * number, "uint8")
        found.append(cutter.add(encoder.encode(pixels, is_key=cutter.is_due(at)), at))
    return [segment for segment in [*found, cutter.rest()] if segment]


def numbers(clip: bytes) -> list[int]:
    """Of its frames, as one sees them."""
    with av.open(io.BytesIO(clip)) as container:
        greys = [frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)]
    return [round(float(grey) / 4) for grey in greys]


def test_each_clip_is_played_alone_and_none_of_the_frames_is_missing() -> None:
    segments = recorded(45)
    assert [numbers(segment.data) for segment in segments] == [
        list(range(start, min(start + 10, 45))) for start in range(0, 45, 10)
    ]


def test_clips_of_a_rate_that_does_not_divide_are_in_time_all_the_same() -> None:
    segments = recorded(60, rate=15)
    assert {len(segment.frames) for segment in segments[:-1]} == {7, 8}
    assert [round(segment.times[0] - 100.0, 1) for segment in segments] == pytest.approx(
        [0.5 * number for number in range(len(segments))], abs=1 / 15
    )


def test_an_mp4_has_the_same_frames_at_their_times() -> None:
    segment = recorded(20)[1]
    clip = as_mp4(segment)
    assert (suffix_of(segment.data), suffix_of(clip)) == ("h264", "mp4")
    assert numbers(clip) == list(range(10, 20))
    with av.open(io.BytesIO(clip)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        assert times == pytest.approx([number / 20 for number in range(10)], abs=0.001)
        assert container.duration == pytest.approx(500_000, abs=1000)


def test_a_stream_says_its_rate() -> None:
    with av.open(io.BytesIO(recorded(10, rate=20)[0].data)) as container:
        assert container.streams.video[0].guessed_rate == 20


def test_sides_that_are_odd_lose_a_pixel() -> None:
    frame = Encoder(10).encode(numpy.zeros((49, 65, 3), "uint8"), is_key=True)
    with av.open(io.BytesIO(frame)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == SIZE


def test_what_an_encoder_says_only_once_stands_before_each_clip() -> None:
    cutter = Cutter(0.1)
    cutter.add(SETS + KEY, 0.0)
    cutter.add(OTHER, 0.05)
    first = cutter.add(KEY, 0.1)
    last = cutter.rest()
    assert first and last
    assert (first.data, last.data) == (SETS + KEY + OTHER, SETS + KEY)


def test_frames_before_the_first_that_needs_no_other_are_left_out() -> None:
    cutter = Cutter(1.0)
    for number, frame in enumerate((OTHER, OTHER, SETS + KEY, OTHER)):
        assert cutter.add(frame, 0.1 * number) is None
    rest = cutter.rest()
    assert rest and rest.frames == (SETS + KEY, OTHER)
    assert cutter.rest() is None


def test_a_clip_waits_for_a_frame_with_which_the_next_can_begin() -> None:
    cutter = Cutter(0.5)
    cut = [cutter.add(SETS + KEY if number % 7 == 0 else OTHER, number / 10) for number in range(22)]
    assert [number for number, segment in enumerate(cut) if segment] == [7, 14, 21]


def test_after_a_pause_of_the_camera_clips_are_as_long_as_ever() -> None:
    cutter = Cutter(0.5)
    times = [*(n / 10 for n in range(8)), *(30.0 + n / 10 for n in range(12))]
    segments = [segment for at in times if (segment := cutter.add(SETS + KEY, at))]
    assert [(segment.times[0], len(segment.frames)) for segment in segments] == [
        (0.0, 5),
        (0.5, 3),
        (30.0, 5),
        (30.5, 5),
    ]


@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.4)), min_size=1, max_size=60), st.floats(0.2, 2.0))
def test_no_frame_is_lost_or_comes_twice_whatever_an_encoder_does(
    frames: list[tuple[bool, float]], seconds: float
) -> None:
    cutter, at = Cutter(seconds), 0.0
    found, times = [], []
    for is_key, step in frames:
        at += step
        times.append(at)
        found.append(cutter.add(SETS + KEY if is_key else OTHER, at))
    segments = [segment for segment in [*found, cutter.rest()] if segment]
    first = next((n for n, (is_key, _) in enumerate(frames) if is_key), len(frames))
    assert [at for segment in segments for at in segment.times] == times[first:]
    assert all(segment.frames[0] == SETS + KEY for segment in segments)


@given(st.binary(max_size=200))
def test_whatever_comes_is_looked_at_without_harm(frame: bytes) -> None:
    is_key, parameters = look_at(frame)
    assert isinstance(is_key, bool) and len(parameters) <= 2 * len(frame) + 8

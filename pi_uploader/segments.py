"""A recording, cut into clips each of which can be played alone: H.264, frame by frame, as an encoder gives it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

#: What every unit begins with in a byte stream: ITU-T H.264, B.1. Its type is in the low five bits that follow.
UNIT = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
#: Types of units, ITU-T H.264, table 7-1: a slice of a frame, of one that needs no other, and what all need to be read.
SLICE, KEY_SLICE, PARAMETERS = 1, 5, frozenset({7, 8})
#: Seconds that a cut may be early: encoders tell times to the microsecond, and a frame takes tens of thousands of them.
EARLY = 0.005


@dataclass(frozen=True, slots=True)
class Segment:
    """A clip: each of its frames, and when that was taken, in seconds of the recording."""

    frames: tuple[bytes, ...]
    times: tuple[float, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.frames))

    @property
    def data(self) -> bytes:
        """As a file of H.264."""
        return b"".join(self.frames)


@dataclass
class Cutter:
    """Takes frames, and gives a clip once the next one begins: after so many seconds, with a frame that needs no other.

    Clips begin on a grid of `seconds`: one that is longer, for want of such a frame, makes none late after it.
    Frames before the first that needs no other cannot be read, and are left out.
    """

    seconds: float
    _frames: list[bytes] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)
    _next_cut: float = 0.0
    _parameters: bytes = b""

    def add(self, frame: bytes, at: float) -> Segment | None:
        """The clip that ends before this frame, if one does."""
        is_key, parameters = look_at(frame)
        self._parameters = parameters or self._parameters
        done = None
        if is_key and not parameters:
            # Encoders may give them once only; each clip has to have them.
            frame = self._parameters + frame
        if is_key and self._frames and at >= self._next_cut - EARLY:
            done = self.rest()
        if is_key and not self._frames:
            self._next_cut = self._after(at)
        if is_key or self._frames:
            self._frames.append(frame)
            self._times.append(at)
        return done

    def is_due(self, at: float) -> bool:
        """Whether a frame of this time should begin a clip, for an encoder that can be asked for one that can."""
        return not self._frames or at >= self._next_cut - EARLY

    def rest(self) -> Segment | None:
        """What there is of a clip that has not ended, which is over now."""
        frames, times = tuple(self._frames), tuple(self._times)
        self._frames.clear()
        self._times.clear()
        return Segment(frames, times) if frames else None

    def _after(self, at: float) -> float:
        """The next cut: one behind a pause is not made up for."""
        following = self._next_cut + self.seconds
        return following if following > at + EARLY and self._next_cut > 0.0 else at + self.seconds


def look_at(frame: bytes) -> tuple[bool, bytes]:
    """Whether it needs no other frame, and the parameter sets that come with it."""
    starts = [(found.start(), found[1][0] & 0x1F) for found in _units_before_picture(frame)]
    is_key = bool(starts) and starts[-1][1] == KEY_SLICE
    ends = [start for start, _ in starts[1:]]
    sets = [frame[a:b] for (a, kind), b in zip(starts, ends, strict=False) if kind in PARAMETERS]
    return is_key, b"".join(b"\0" + one.rstrip(b"\0") for one in sets)


def _units_before_picture(frame: bytes) -> Iterator["re.Match[bytes]"]:
    """Up to the first of the picture, behind which there is the most of a frame."""
    for found in UNIT.finditer(frame):
        yield found
        if found[1][0] & 0x1F in (SLICE, KEY_SLICE):
            return

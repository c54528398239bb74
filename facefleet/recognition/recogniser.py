"""Who is on this image? Decode, find, encode, compare."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facefleet.clipfile import Bounds
from facefleet.model import Candidate, Face, Footage, Person
from facefleet.recognition.appearances import merged
from facefleet.recognition.encoder import EncodedFace, Encoder, open_encoder
from facefleet.recognition.gallery import similarity
from facefleet.recognition.identification import base_threshold, threshold_in_force
from facefleet.recognition.images import Picture
from facefleet.recognition.keeper import Keeper
from facefleet.settings import Settings

if TYPE_CHECKING:
    from facefleet.recognition.video import Clip

#: Of a clip, frame by frame, the faces that are remembered; a crowd is looked at until there are so many.
MAX_SEEN = 5000
#: What a face was encoded from takes a hundred times as much memory as its encoding.
NO_CHIP = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Limits:
    """What an image may be, and how sure a name must be; the settings of these names."""

    max_pixels: int
    #: Share of strangers that may be given a name; the threshold follows it, and the gallery's size.
    stranger_rate: float = 0.01
    #: A fixed threshold instead.
    threshold: float | None = None
    clips: Bounds = Bounds(max_pixels=9_000_000, max_seconds=60.0, interval=0.1, effort=25.0)


def open_recogniser(settings: Settings, keeper: Keeper) -> "Recogniser":
    """A recogniser as the settings want it, with its models loaded; raises `Unavailable`."""
    encode = open_encoder(settings.models_folder, smallest_face=settings.smallest_face)
    return Recogniser(encode, keeper, limits_of(settings))


def limits_of(settings: Settings) -> Limits:
    clips = Bounds(
        settings.max_video_pixels, settings.max_video_seconds, settings.video_interval, settings.video_effort
    )
    return Limits(settings.max_pixels, settings.stranger_rate, settings.threshold, clips)


class Recogniser:
    """Finds faces, and says whose they are by the gallery that its keeper holds."""

    def __init__(self, encode: Encoder, keeper: Keeper, limits: Limits) -> None:
        self._encode = encode
        self._keeper = keeper
        self._limits = limits

    @property
    def gallery_version(self) -> int:
        return self._keeper.gallery.version

    def refresh(self) -> None:
        """Learns what changed."""
        self._keeper.refresh()

    def recognise(self, data: bytes, *, top_k: int = 0) -> tuple[Face, ...]:
        """The image's faces, largest first, each with who it is by now; raises `BadImage`."""
        faces = self.faces(data)
        # Only now, so that somebody just enrolled is known, and somebody erased meanwhile is not named any more.
        self.refresh()
        return tuple(self.identify(face, top_k=top_k) for face in faces)

    def watch(self, clip: bytes | Path, *, top_k: int = 0, everybody: bool = False) -> tuple[tuple[Face, ...], Footage]:
        """The faces of the clip's first frame that has any, as of an image, and what was looked at.

        `everybody`: all of it is looked at, as far as its bounds allow, for whoever appears. Raises `BadImage`.
        """
        # Imported here: FFmpeg takes its time and its memory, and most workers never see a clip.
        from facefleet.recognition.video import opened

        with opened(clip, self._limits.clips) as frames:
            found, looked_at = self._found(frames, first=not everybody)
        self.refresh()
        seen = [(at, tuple(self.identify(face, top_k=top_k) for face in faces)) for at, faces in found]
        at, faces = seen[0] if seen else (None, ())
        footage = Footage(looked_at, frames.until, frames.cut, frames.seconds, at)
        return faces, replace(footage, appearances=merged(seen)) if everybody else footage

    def _found(self, clip: "Clip", *, first: bool) -> tuple[list[tuple[float, list[EncodedFace]]], int]:
        """When there were which faces, largest first; and how many frames were looked at."""
        found, looked_at, in_all = list[tuple[float, list[EncodedFace]]](), 0, 0
        for frame in clip.frames():
            looked_at += 1
            if faces := self._sorted(frame.picture):
                found.append((frame.at, [replace(face, chip=NO_CHIP) for face in faces]))
                in_all += len(faces)
                is_full = in_all > MAX_SEEN
                clip.cut |= is_full
                if first or is_full:
                    break
        return found, looked_at

    def faces(self, data: bytes) -> list[EncodedFace]:
        """The image's faces, largest first; raises `BadImage`."""
        return self._sorted(Picture(data, max_pixels=self._limits.max_pixels))

    def _sorted(self, picture: Picture) -> list[EncodedFace]:
        return sorted(self._encode(picture), key=lambda face: face.box.area, reverse=True)

    def identify(self, face: EncodedFace, *, top_k: int = 0) -> Face:
        """Who this face is."""
        # Two at least: the second tells how sure the first is.
        nearest = self._keeper.gallery.nearest(face.encoding, max(2, top_k))
        threshold = self._threshold(nearest[1][1] if len(nearest) > 1 else None)
        found = Face(
            face.box,
            threshold,
            candidates=tuple(_candidate(person, distance, threshold) for person, distance in nearest[:top_k]),
            encoding=face.encoding.astype("<f4").tobytes(),
        )
        if not nearest:
            return found
        person, distance = nearest[0]
        best = _candidate(person, distance, threshold)
        found = replace(found, distance=best.distance, similarity=best.similarity)
        if best.distance > threshold:
            return found
        return replace(found, person_id=person.id, name=person.name, attributes=person.attributes)

    def _threshold(self, runner_up: float | None) -> float:
        if self._limits.threshold is not None:
            return self._limits.threshold
        base = base_threshold(len(self._keeper.gallery), self._limits.stranger_rate)
        return round(threshold_in_force(base, runner_up), 4)


def _candidate(person: Person, distance: float, threshold: float) -> Candidate:
    return Candidate(person.id, round(distance, 4), round(similarity(distance, threshold), 4))

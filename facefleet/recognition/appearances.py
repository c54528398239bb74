"""Who was in a clip, and when: faces of its frames, in the order in which they were taken, merged. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from facefleet.model import Appearance, Face
from facefleet.recognition.identification import SPLIT, Encodings, scaled

#: Seconds. Who is out of sight for longer was away, and appears anew.
GAP = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """An appearance that may go on, and how its best face is encoded: shape (128,)."""

    appearance: Appearance
    encoding: Encodings

    @property
    def person_id(self) -> str | None:
        return self.appearance.best.person_id


def merged(frames: Iterable[tuple[float, Iterable[Face]]]) -> tuple[Appearance, ...]:
    """One for each time that somebody was there without a gap, strangers apart from each other; by when they began.

    A face without a name, like one that has had a name within the gap, is that one's, turned away.
    """
    seen: list[Seen] = []
    ended: list[Seen] = []
    for at, faces in frames:
        ended += [one for one in seen if at - one.appearance.end > GAP]
        seen = list(_with_frame([one for one in seen if at - one.appearance.end <= GAP], at, faces))
    return tuple(
        sorted((one.appearance for one in ended + seen), key=lambda one: (one.start, one.best.person_id or ""))
    )


def _with_frame(seen: list[Seen], at: float, faces: Iterable[Face]) -> Iterator[Seen]:
    """Those seen, each with the face of this frame that is theirs, and who is new."""
    left = list(seen)
    # Those with a name first: they are sure whose they are.
    for face in sorted(faces, key=lambda face: face.person_id is None):
        encoding = _encoding(face)
        before = _same(left, face, encoding)
        if before is None:
            yield Seen(Appearance(at, at, 1, face, at), encoding)
            continue
        left.remove(before)
        yield _going_on(before, at, face, encoding)
    yield from left


def _same(seen: list[Seen], face: Face, encoding: Encodings) -> Seen | None:
    """Who of those seen this is; a name decides, and without one the nearest that is near enough."""
    if face.person_id is not None:
        named = next((one for one in seen if one.person_id == face.person_id), None)
        if named is not None:
            return named
        # Somebody who was not recognised until now.
        seen = [one for one in seen if one.person_id is None]
    distances = [(float(np.linalg.norm(one.encoding - encoding)), number) for number, one in enumerate(seen)]
    nearest = min(distances, default=(SPLIT, -1))
    return seen[nearest[1]] if nearest[0] < SPLIT else None


def _going_on(before: Seen, at: float, face: Face, encoding: Encodings) -> Seen:
    longer = replace(before.appearance, end=at, frames=before.appearance.frames + 1)
    if _sureness(face) <= _sureness(longer.best):
        return Seen(longer, before.encoding)
    return Seen(replace(longer, best=face, best_at=at), encoding)


def _sureness(face: Face) -> tuple[bool, float]:
    """Named ones by how near they are, the others by their size."""
    if face.person_id is None or face.distance is None:
        return False, float(face.box.area)
    return True, -face.distance / face.threshold


def _encoding(face: Face) -> Encodings:
    return scaled(np.frombuffer(face.encoding, dtype="<f4"))

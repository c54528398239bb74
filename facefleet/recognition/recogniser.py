"""Who is on this image? Decode, find, encode, compare."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from facefleet.errors import BadImage
from facefleet.model import Changes, Face
from facefleet.recognition.encoder import EncodedFace, Encoder
from facefleet.recognition.gallery import Gallery
from facefleet.recognition.images import decode


@dataclass(frozen=True)
class Limits:
    max_pixels: int
    threshold: float


class Recogniser:
    """Holds a gallery and follows its changes; everything else is passed through it."""

    def __init__(self, encode: Encoder, changes: Callable[[int], Changes], limits: Limits) -> None:
        self._encode = encode
        self._changes = changes
        self._limits = limits
        self.gallery = Gallery()

    def refresh(self) -> None:
        """Learns what changed; every job asks first, so that a person just enrolled is known at once."""
        self.gallery = self.gallery.after(self._changes(self.gallery.version))

    def recognise(self, data: bytes, *, top_k: int = 0) -> tuple[Face, ...]:
        """The image's faces, largest first, each with who it is; raises `BadImage`."""
        return tuple(self._identify(face, top_k) for face in self._faces(data))

    def knows(self, faces: tuple[Face, ...]) -> bool:
        """Whether everybody named is still in the gallery."""
        named = {face.person_id for face in faces} | {c.person_id for face in faces for c in face.candidates}
        return named - {None} <= self.gallery.people.keys()

    def the_face(self, data: bytes) -> EncodedFace:
        """The one face of a photo to enrol; raises `BadImage` where there is none, or a choice to make."""
        faces = self._faces(data)
        if not faces:
            raise BadImage("no face found: send a sharper photo, seen from the front", code="no_face")
        if len(faces) > 1:
            raise BadImage(
                f"{len(faces)} faces found: send a photo, or a part of one, with just this person",
                code="several_faces",
            )
        return faces[0]

    def _faces(self, data: bytes) -> list[EncodedFace]:
        faces = self._encode(decode(data, max_pixels=self._limits.max_pixels))
        return sorted(faces, key=lambda face: face.box.area, reverse=True)

    def _identify(self, face: EncodedFace, top_k: int) -> Face:
        threshold = self._limits.threshold
        candidates = self.gallery.nearest(face.encoding, limit=max(1, top_k), threshold=threshold)
        found = Face(face.box, threshold, candidates=candidates[:top_k])
        if not candidates:
            return found
        best = candidates[0]
        found = replace(found, distance=best.distance, similarity=best.similarity)
        if best.distance > threshold:
            return found
        person = self.gallery.people[best.person_id]
        return replace(found, person_id=person.id, name=person.name, attributes=person.attributes)

"""An image as a client sent it, on its way to the queue."""

from functools import cached_property
from hashlib import sha256


class Probe:
    """Holds the image until it is taken: a thousand that wait must not hold a thousand images."""

    def __init__(self, filename: str, image: bytes) -> None:
        self.filename = filename
        self._image = image

    @property
    def image(self) -> bytes:
        return self._image

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the image; asked for before that is taken, it is known afterwards."""
        return sha256(self._image).digest()

    def take(self) -> bytes:
        image, self._image = self._image, b""
        return image

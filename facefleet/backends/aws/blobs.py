"""To come."""

from typing import Any


class S3Blobs:
    def __init__(self, *args: Any) -> None:
        pass

    def tidy(self) -> None:
        pass

"""To come."""

from typing import Any


class DynamoPeople:
    def __init__(self, *args: Any) -> None:
        pass

    def tidy(self) -> None:
        pass

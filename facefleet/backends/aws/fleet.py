"""To come."""

from typing import Any


class Ec2Fleet:
    def __init__(self, *args: Any) -> None:
        pass

    def tidy(self) -> None:
        pass

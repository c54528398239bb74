"""This machine, which nobody takes away."""

import os
import platform


class OwnMachine:
    def id(self) -> str:
        """Of this process alone: more of them may run here by hand."""
        return f"{platform.node()}-{os.getpid()}"

    def notice(self) -> None:
        return None

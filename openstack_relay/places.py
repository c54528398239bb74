"""What a relay's queues are called."""

from facefleet.settings import Settings


def output_of(settings: Settings) -> str:
    """The queue of results, by name or address: where the function tells them unless another one is set."""
    return settings.relay_output or settings.response_queue


def dead_letters_of(queue: str) -> str:
    return f"{queue}-dead"

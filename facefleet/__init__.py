"""What the tiers share: the words, the outside world behind ports, and the knowledge of faces."""

__version__ = "0.1.0"

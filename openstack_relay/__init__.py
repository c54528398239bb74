"""Beside a function: a private cloud's own process that calls it for what came, and brings results home."""

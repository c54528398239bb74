"""Beside the flow: how many instances the backlog deserves, and who starts and stops them."""

"""What others wrote, made harmless for a terminal: names of objects and files, and their own words."""


def plain(text: str) -> str:
    """It on one line: it must not move the cursor, nor begin a line that looks like ours."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

"""What stands behind the question mark of a request. Pure."""

from collections.abc import Mapping

from facefleet.problems import Problem

MAX_TOP_K = 100
TRUTH = {"true": True, "1": True, "false": False, "0": False}


def top_k(query: Mapping[str, str]) -> int:
    """Candidates to tell for each face; 0 unless asked for. Raises the problem 400."""
    text = query.get("top_k", "0")
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_TOP_K)) or int(text) > MAX_TOP_K:
        raise Problem(400, "bad_top_k", f"top_k is a number from 0 to {MAX_TOP_K}")
    return int(text)


def flag(query: Mapping[str, str], name: str) -> bool:
    """False unless the parameter of that name says otherwise. Raises the problem 400."""
    text = query.get(name, "false").lower()
    if text not in TRUTH:
        raise Problem(400, f"bad_{name}", f"{name} is true or false")
    return TRUTH[text]

"""What stands behind the question mark of several routes."""

from flask import request

from facefleet.problems import Problem

MAX_TOP_K = 100
TRUTH = {"true": True, "1": True, "false": False, "0": False}


def top_k() -> int:
    """Candidates to tell for each face; 0 unless asked for."""
    text = request.args.get("top_k", "0")
    if not text.isdecimal() or int(text) > MAX_TOP_K:
        raise Problem(400, "bad_top_k", f"top_k is a number from 0 to {MAX_TOP_K}")
    return int(text)


def flag(name: str) -> bool:
    """False unless the parameter of that name says otherwise."""
    text = request.args.get(name, "false").lower()
    if text not in TRUTH:
        raise Problem(400, f"bad_{name}", f"{name} is true or false")
    return TRUTH[text]

"""What the service said of a capture."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pi_uploader.door import told

#: What the service calls somebody whom it does not know.
UNKNOWN = "unknown"
#: What spreadsheets take for a formula where a cell begins with it, also as full-width signs:
#: https://owasp.org/www-community/attacks/CSV_Injection
SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
#: Seconds, of which no clip has more.
MAX_AT = 86_400.0


class Outcome(StrEnum):
    KNOWN = "known"
    UNKNOWN = "unknown"
    #: A photo that was enrolled.
    ENROLLED = "enrolled"
    #: The service will not have this capture, however often it is sent; the words say why.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """`people`: names, the largest face first, `unknown` among them. `code`: why a capture was refused.

    `at`: seconds into a clip, where they were seen; `round_trip`: seconds of the request that brought it; `tries`: how
    often it was asked for, perhaps.
    """

    outcome: Outcome
    words: str
    people: tuple[str, ...] = ()
    job_id: str = ""
    code: str = ""
    at: float = 0.0
    round_trip: float = 0.0
    tries: int = 1


def answer_of(result: dict[str, Any], round_trip: float) -> Answer:
    """Out of a result, of a photo or a clip. Raises `LookupError`, `TypeError` or `ValueError` for what is none."""
    job_id, answer = str(result["id"]), result["answer"]
    if not isinstance(answer, str):
        raise TypeError("an answer is a word")
    people = tuple(told(face["name"] or face["person"] or UNKNOWN) for face in result["faces"])
    outcome = Outcome.UNKNOWN if answer == UNKNOWN else Outcome.KNOWN
    words = ", ".join(_face_in_words(face) for face in result["faces"]) or "unknown (no face)"
    if not 0.0 <= (at := float((result.get("video") or {}).get("at") or 0.0)) <= MAX_AT:
        raise ValueError("nobody was seen before a clip, nor long behind it")
    return Answer(outcome, words, people, job_id, at=at, round_trip=round_trip)


def in_cell(text: str) -> str:
    """As a cell of CSV: who may name people makes no spreadsheet do anything."""
    return f"'{text}" if text.startswith(SIGNS) else text


def _face_in_words(face: dict[str, Any]) -> str:
    if face["person"] is None:
        return UNKNOWN
    return f"{told(face['name'] or face['person'])} (similarity {face['similarity']:.2f})"

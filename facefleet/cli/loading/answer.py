"""What comes back for an upload: who it is, or why there is no answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from facefleet.errors import ServiceError
from facefleet.model import UNKNOWN
from facefleet.wire import GARBAGE, Json

#: Characters of what a server said that are told again.
MOST_WORDS = 200
#: Ours: no answer in time, and nobody at the address.
TIMEOUT, UNREACHABLE = "timeout", "unreachable"
#: Ours: whoever ran this ended it before there was an answer.
INTERRUPTED = "interrupted"
#: Ours: an answer that this entrance does not give, or another upload's.
STRANGE = "strange_answer"
UNREADABLE = "unreadable_file"


class NoAnswer(ServiceError):
    """An upload went wrong: a code to count by, ours or the service's, and words."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail, code=code)


@dataclass(frozen=True, slots=True)
class Answer:
    """Whom the service saw, what it knows of them, and the id under which it keeps the result.

    `attributes`: None where this entrance tells none.
    """

    answer: str
    attributes: Mapping[str, object] | None = None
    job_id: str = ""
    #: Known from before, so that no worker was asked.
    was_cached: bool = False


def of_result(result: Json, *, was_cached: bool = False) -> Answer:
    """Out of a result as `/v1` has it; raises `NoAnswer` where the job failed, or this is no result."""
    try:
        if error := result["error"]:
            raise NoAnswer(str(error["code"]), str(error["detail"]))
        faces, answer = result["faces"], str(result["answer"])
        attributes = dict(faces[0]["attributes"]) if faces and answer != UNKNOWN else {}
        return Answer(answer, attributes, str(result["id"]), was_cached)
    except NoAnswer:
        raise
    except GARBAGE as e:
        raise NoAnswer(STRANGE, "this is no result: is it a facefleet that answers there?") from e

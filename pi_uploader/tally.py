"""How far an enrolment has got, whether it is any use to go on, and what helps if not."""

import re
from dataclasses import dataclass, replace

from pi_uploader.answers import Answer, Outcome

#: Photos taken for each that is wanted, and the same refusal one after another, at most.
TRIES, SAME = 3, 10
#: Characters of the bar.
BAR = 20
#: Nothing that is done before the camera helps against it.
HOPELESS = frozenset({"too_many_photos", "not_found"})
#: Codes of our own.
NO_PHOTO, NO_ROOM = "no_photo", "no_room"
#: What a refusal offers to those who can: here nobody can.
WITH_FORCE = re.compile(r", or enrol .* with force$")
DUPLICATE = "duplicate_photo"
#: What helps where the same refusal comes again and again.
ADVICE = {
    "no_face": "stand right before the camera, face to it, in light from the front",
    "several_faces": "only one person may stand before the camera: have the others step aside",
    "face_too_small": "come nearer, or set larger width and height",
    "face_too_dark": "put a lamp in front of the face, not behind it",
    "face_too_bright": "turn away from the lamp or the sun",
    "face_too_blurred": "keep still for each photo, and clean and focus the lens",
    DUPLICATE: "move between photos: turn the head, smile, take glasses off; or these photos are enough",
    "nearer_to_another": "perhaps enrolled under another name: see `facefleet people list` on the service",
    "too_many_photos": "those that are there will do",
    "not_found": "somebody erased the person meanwhile: begin anew, if that was a mistake",
    NO_PHOTO: "see what `python -m pi_uploader --check` says of the camera",
    NO_ROOM: "see that the service can be reached, and make room on the disk",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """How far it has got. `same`: how often `code` came without another answer in between."""

    wanted: int
    enrolled: int = 0
    taken: int = 0
    code: str = ""
    same: int = 0
    #: Of the last answer.
    words: str = ""

    def after(self, answer: Answer) -> "Tally":
        taken = self.taken + 1
        if is_enrolled(answer):
            enrolled = self.enrolled + 1
            return Tally(self.wanted, enrolled, taken, words=bar(enrolled, self.wanted))
        same = self.same + 1 if answer.code == self.code else 1
        words = f"  not this one: {WITH_FORCE.sub('', answer.words)}"
        return replace(self, taken=taken, code=answer.code, same=same, words=words)

    @property
    def given_up(self) -> str:
        """Why it is no use to go on; empty while it is."""
        advice = ADVICE.get(self.code, "see what the service says above")
        if self.code in HOPELESS:
            return advice
        if self.same >= SAME:
            return f"the same {SAME} times, one after another: {advice}"
        if self.taken >= TRIES * self.wanted:
            return f"{self.taken} photos were taken for {self.wanted}: {advice}"
        return ""


def bar(enrolled: int, wanted: int) -> str:
    done = BAR * enrolled // wanted
    return f"[{'#' * done}{'.' * (BAR - done)}] {enrolled}/{wanted} enrolled"


def is_enrolled(answer: Answer) -> bool:
    """Also where the first answer, which said so, was lost: then the service has this photo already."""
    return answer.outcome is Outcome.ENROLLED or (answer.code == DUPLICATE and answer.tries > 1)

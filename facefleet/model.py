"""The words everybody speaks: frozen values, standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: What a probe is called that no enrolled person is near enough to. A good answer, not an error.
UNKNOWN = "unknown"


class JobKind(StrEnum):
    RECOGNISE = "recognise"
    ENROL = "enrol"
    VIDEO = "video"
    #: To see that what workers share is as it should be: nobody's image, and no answer.
    TIDY = "tidy"


class InstanceState(StrEnum):
    """Draining: its worker takes no new job. Stopping: the worker has ended, the machine not yet."""

    PENDING = "pending"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Start(StrEnum):
    """How an instance came up last: launched new, or started from the warm pool, which takes less time."""

    LAUNCH = "launch"
    POOL = "pool"


class WorkerState(StrEnum):
    IDLE = "idle"
    BUSY = "busy"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Box:
    """A face's place in the upright image, in pixels, the far edges exclusive."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int

    @property
    def area(self) -> int:
        return max(0, self.x_max - self.x_min) * max(0, self.y_max - self.y_min)


@dataclass(frozen=True, slots=True)
class Job:
    """One image or clip waiting for a worker. It carries that itself, or the key of the blob that does."""

    id: str
    kind: JobKind
    filename: str
    submitted_at: float
    image: bytes | None = field(default=None, repr=False)
    blob: str | None = None
    reply_to: str | None = None
    person_id: str | None = None
    top_k: int = 0
    #: Enrol the photo even where its quality, or somebody else's likeness, speaks against it.
    force: bool = False
    #: Sent before, so that its result may lie there already.
    again: bool = False
    #: Of a clip: look for everybody, all the way, and not for the first face alone.
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A job's words on lease. The receipt names this lease and dies with it."""

    body: str = field(repr=False)
    receipt: str
    receive_count: int
    sent_at: float


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages wait and how many are on lease; since when the oldest waits, where the queue can tell."""

    visible: int
    in_flight: int
    oldest: float | None = field(default=None, compare=False)

    @property
    def backlog(self) -> int:
        return self.visible + self.in_flight


@dataclass(frozen=True, slots=True)
class BlobInfo:
    key: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Photo:
    """An enrolled photo: its face's box, and its encoding as 128 little-endian float32 (512 bytes)."""

    id: str
    box: Box
    encoding: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A face that was taken for a person and is not: its encoding, as 128 little-endian float32 (512 bytes)."""

    id: str
    encoding: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody enrolled. `version` is the gallery's version at this person's last change, 0 before the first."""

    id: str
    name: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    photos: tuple[Photo, ...] = ()
    version: int = 0
    rejections: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to people after a version, up to this one.

    `removed`: erased since, and perhaps there again, so that whoever holds something of them from before lets go of it.
    `read_everybody`: too much for a list, or more than is remembered. Forget what you had, and read everybody.
    """

    version: int
    people: tuple[Person, ...] = ()
    removed: tuple[str, ...] = ()
    read_everybody: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    person_id: str
    distance: float
    similarity: float


@dataclass(frozen=True, slots=True)
class Face:
    """A face of a probe, and who it is. `person_id` is None for somebody unknown."""

    box: Box
    threshold: float
    person_id: str | None = None
    name: str | None = None
    distance: float | None = None
    similarity: float | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    #: 128 little-endian float32 (512 bytes): a rejection is made of it. Stored with the answer, never sent to a client.
    encoding: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Appearance:
    """Somebody's time in a clip, in its seconds: from `start` to `end`, on so many of the frames looked at.

    `best`: the face in the frame where it was surest, at `best_at`. A stranger's has no person.
    """

    start: float
    end: float
    frames: int
    best: Face
    best_at: float


@dataclass(frozen=True, slots=True)
class Footage:
    """What of a clip was looked at: so many frames, as far as `until`, in seconds; `cut` where a limit ended it.

    `seconds`: the clip's length, None where the file does not tell. `at`: the frame whose faces answer; None of none.
    """

    frames: int
    until: float
    cut: bool = False
    seconds: float | None = None
    at: float | None = None
    appearances: tuple[Appearance, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no answer: a stable code, and words that say what to do."""

    code: str
    detail: str
    #: Whether a person may overrule it: the same photo enrolled with `force` goes in.
    forcible: bool = False
    #: Whom the words name.
    person_id: str | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds: waiting in the queue, recognising, and all from submission to result."""

    queued: float
    recognise: float
    total: float


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job. Faces stand largest first, and the largest answers."""

    job_id: str
    filename: str
    faces: tuple[Face, ...] = ()
    error: Failure | None = None
    photo: Photo | None = None
    person_id: str | None = None
    gallery_version: int = 0
    model: str = ""
    timings: Timings = Timings(0.0, 0.0, 0.0)
    #: Of a clip; its faces are those of the first frame that has any.
    footage: Footage | None = None

    @property
    def answer(self) -> str:
        """The largest face's person, or `unknown`; for an enrolment, the person enrolled."""
        if self.person_id is not None:
            return self.person_id
        return (self.faces[0].person_id if self.faces else None) or UNKNOWN


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine of the fleet (embedded: a process); `since` is when it entered its state.

    `launched_at`: when it was launched, or started last; from then on it is paid for. `token`: what it came for.
    `is_stale`: what is launched now is made of something newer; False where nobody knows. `rank`: of several clouds in
    which it is, 0 for one's own.
    """

    id: str
    state: InstanceState
    since: float
    launched_at: float = 0.0
    start: Start = Start.LAUNCH
    token: str = ""
    is_stale: bool = False
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How a worker says that it is: its blob `workers/<id>` is written every few seconds.

    `leaves`: its machine is about to be taken away.
    """

    id: str
    state: WorkerState
    jobs: int
    since: float
    at: float
    service_seconds: float = 0.0
    leaves: bool = False

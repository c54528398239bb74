"""What a job becomes: a result. To store and tell it is `jobs`'s."""

from dataclasses import replace

from facefleet import answers, keys
from facefleet.errors import BadImage, NotFound
from facefleet.model import Failure, Job, JobKind, Person, Photo, Result
from facefleet.people import check_room, update
from facefleet.ports import Blobs, People
from facefleet.recognition import quality
from facefleet.recognition.encoder import EncodedFace
from facefleet.recognition.entries import encodings
from facefleet.recognition.recogniser import Recogniser
from facefleet.recognition.weights import MODEL
from facefleet.wire import Json


class Processor:
    """What is done with a job: an image recognised, a clip watched, or a photo enrolled."""

    def __init__(self, recogniser: Recogniser, people: People, blobs: Blobs) -> None:
        self._recogniser = recogniser
        self._people = people
        self._blobs = blobs
        self._work = {
            JobKind.RECOGNISE: self._recognise,
            JobKind.VIDEO: self._watch,
            JobKind.ENROL: self._enrol,
        }

    def __call__(self, job: Job, image: bytes) -> Result:
        """The job's result; an image or a person that will not do is a failed one, not an error."""
        try:
            result = self._work[job.kind](job, image)
        except BadImage as e:
            result = Result(job.id, job.filename, error=Failure(e.code, e.detail, e.forcible, e.person_id))
        except NotFound as e:
            # Without the id: whoever was erased meanwhile is named nowhere any more.
            why = "the person is not enrolled any more: add them first"
            result = Result(job.id, job.filename, error=Failure(e.code, why))
        return replace(result, model=MODEL, gallery_version=self._recogniser.gallery_version)

    def stands(self, result: Json) -> bool:
        """Whether nobody whom the result names was erased meanwhile; cheap where nobody has changed since."""
        named = answers.named(result)
        if not named:
            return True
        # An enrolment's version may be of after the erasure: it is looked up behind the photo.
        if "photo" not in result:
            changes = self._people.changes(result["gallery_version"])
            if not changes.read_everybody:
                return named.isdisjoint(changes.removed)
        return all(self._is_there(person_id) for person_id in named)

    def _is_there(self, person_id: str) -> bool:
        try:
            return bool(self._people.get(person_id))
        except NotFound:
            return False

    def _recognise(self, job: Job, image: bytes) -> Result:
        return Result(job.id, job.filename, self._recogniser.recognise(image, top_k=job.top_k))

    def _watch(self, job: Job, clip: bytes) -> Result:
        faces, footage = self._recogniser.watch(clip, top_k=job.top_k, everybody=job.everybody)
        return Result(job.id, job.filename, faces, footage=footage)

    def _enrol(self, job: Job, image: bytes) -> Result:
        person = self._person(job)
        # Here, before all the work, and again when it is done.
        check_room(person, job.id)
        face = quality.the_subject(self._recogniser.faces(image), force=job.force)
        self._recogniser.refresh()
        if not job.force:
            self._check(face, person, but=job.id)
        photo = Photo(job.id, face.box, face.encoding.astype("<f4").tobytes())
        self._blobs.put(keys.photo(person.id, photo.id), image)
        try:
            update(self._people, person.id, lambda person: _with(person, photo))
        except (NotFound, BadImage):
            # Erased while we looked, or full by now: nothing of it may stay.
            self._blobs.delete(keys.photo(person.id, photo.id))
            raise
        self._recogniser.refresh()
        return Result(job.id, job.filename, photo=photo, person_id=person.id)

    def _person(self, job: Job) -> Person:
        if job.person_id is None:
            raise BadImage("an enrolment must name a person", code="no_person")
        return self._people.get(job.person_id)

    def _check(self, face: EncodedFace, person: Person, *, but: str) -> None:
        """Raises `BadImage` where the face should not be enrolled; the photo `but` is this one, if it came before."""
        own = encodings(photo for photo in person.photos if photo.id != but)
        quality.check_quality(face)
        quality.check_novelty(face.encoding, own)
        quality.check_identity(face.encoding, person.id, own, self._recogniser.identify(face))


def _with(person: Person, photo: Photo) -> Person:
    check_room(person, photo.id)
    # The photo may be there already, from a first try.
    return replace(person, photos=(*(p for p in person.photos if p.id != photo.id), photo))

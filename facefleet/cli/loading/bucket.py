"""The bucket as a door, with the operator's own credentials: a file in, and its line out under the same stem."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from facefleet import csvline, keys
from facefleet.backends.aws.blobs import S3Blobs
from facefleet.backends.aws.clients import connect_all
from facefleet.cli.loading.answer import STRANGE, Answer, NoAnswer
from facefleet.cli.loading.entrances import read
from facefleet.cli.loading.patience import Patience
from facefleet.cli.loading.work import Upload
from facefleet.errors import BadSettings, NotFound, ServiceError
from facefleet.ports import Blobs
from facefleet.settings import Settings

#: Seconds between two looks for an output: by so much a latency may be too long.
LOOK = 0.1
#: Deletions at the same time.
AT_ONCE = 16
#: Names that are told of those that lie there already.
SOME = 3


class Bucket:
    """`columns`: what stands in an output behind the name; `ending`: of its key. Threads may share it."""

    def __init__(self, blobs: Blobs, columns: Sequence[str], ending: str = "") -> None:
        self._blobs, self._columns, self._ending = blobs, columns, ending

    def close(self) -> None:
        """Nothing is held open for one thread."""

    def send(self, upload: Upload, patience: Patience) -> Answer:
        data = read(upload)
        try:
            self._blobs.put(keys.input_image(upload.name), data)
            return self._answer(self._awaited(upload, patience))
        except NoAnswer:
            raise
        except ServiceError as e:
            raise NoAnswer(e.code, e.detail) from e

    def _awaited(self, upload: Upload, patience: Patience) -> bytes:
        while True:
            try:
                return self._blobs.get(keys.answer(upload.name, self._ending))
            except NotFound:
                patience.pause(LOOK)

    def _answer(self, output: bytes) -> Answer:
        try:
            name, *values = csvline.values_of(output.decode().strip())
        except ValueError as e:
            raise NoAnswer(STRANGE, "an output that is no line of name and attributes") from e
        return Answer(name, dict(zip(self._columns, values, strict=False)))


def blobs_of(settings: Settings, *, connections: int) -> S3Blobs:
    clients, _ = connect_all(connections=connections)
    return S3Blobs.of(settings, clients.s3)


def refuse_answered(blobs: Blobs, uploads: Iterable[Upload], ending: str = "") -> None:
    """Raises `BadSettings` where an output lies there already: it would be taken for the answer."""
    there = {info.key for info in blobs.list(keys.OUTPUT)}
    if found := sorted(upload.stem for upload in uploads if keys.answer(upload.name, ending) in there):
        words = ", ".join(found[:SOME]) + (", …" if found[SOME:] else "")
        raise BadSettings(
            f"the output bucket holds {len(found)} of these already ({words}): --clear removes them first"
        )


def contents(blobs: Blobs) -> dict[str, list[str]]:
    """The keys of both buckets, by area; also of what was deleted and left its versions."""
    return {area: [info.key for info in blobs.list(area, every_version=True)] for area in (keys.INPUT, keys.OUTPUT)}


def clear(blobs: Blobs, found: Iterable[str]) -> None:
    """Deletes every version of these."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # The list waits for all, and raises what went wrong.
        list(pool.map(blobs.delete, found))

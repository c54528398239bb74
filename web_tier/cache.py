"""The same image again: answered from what is stored, as long as the gallery is the same."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from threading import Lock
from typing import NamedTuple

from cachetools import LRUCache

from facefleet import answers
from facefleet.errors import Unavailable
from facefleet.model import Job, JobKind, Timings
from facefleet.ports import Blobs
from facefleet.wire import Json
from web_tier.probe import Probe

log = logging.getLogger(__name__)

#: What an entry takes of memory, dictionaries and all: measured, and rounded up.
ENTRY_BYTES = 768
#: The header that says so, and its words: RFC 9211.
HIT = {"Cache-Status": "facefleet; hit"}


class Key(NamedTuple):
    """What decides an answer, beside the gallery."""

    digest: bytes
    kind: JobKind
    top_k: int
    everybody: bool


class Answered(NamedTuple):
    """The job whose stored result answers a key, when it was submitted, and of which gallery; None: not known yet."""

    job_id: str
    submitted_at: float
    version: int | None


class Cache:
    """Remembers which job asked about which image, the least recently used forgotten first.

    Of nobody's face or name anything is kept here: an answer is read where it is stored, so that one that is erased,
    purged or forgotten there cannot be given from here, whichever process did it.
    """

    def __init__(self, version: Callable[[], int], blobs: Blobs, *, max_bytes: int) -> None:
        self._people_version = version
        self._blobs = blobs
        self._on = max_bytes >= ENTRY_BYTES
        self._entries: LRUCache[Key, Answered] = LRUCache(max_bytes, getsizeof=lambda _: ENTRY_BYTES)
        self._version = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def answered(self, job: Job, probe: Probe, version: int) -> None:
        """Remembers the job, whose result of this gallery is stored."""
        self._put(job, probe, version, instead=True)

    def asked(self, job: Job, probe: Probe) -> None:
        """Remembers a job that was promised, unless one is known already that asks the same and may end earlier."""
        self._put(job, probe, None, instead=False)

    def recall(self, job: Job, probe: Probe) -> Json | None:
        """The result that the same image had, stored as this job's own; None if it is to be asked.

        The gallery's version is read before and after, as workers look twice: an answer that names somebody erased
        meanwhile is neither given nor left behind.
        """
        if not self._on:
            return None
        try:
            return self._recall(job, probe)
        except Unavailable as e:
            # A worker may get on all the same, and writes over whatever was written here.
            log.warning("job %s: the cache is passed by: %s", job.id, e)
            return None

    def _recall(self, job: Job, probe: Probe) -> Json | None:
        key = _key(job, probe)
        if key not in self._entries:
            # Most images are new: to ask for the gallery's version would be a call for nothing.
            return None
        version = self._people_version()
        entry = self._entry(key, version)
        whole = self._stored(key, entry, version) if entry else None
        if entry is None or whole is None:
            return None
        result = answers.store_whole(self._blobs, job, _as_own(whole, job, time.time()), probe.image)
        if version != self._people_version() or answers.purged_since(self._blobs, entry.submitted_at):
            answers.erase(self._blobs, result, answer=result["answer"])
            return None
        self.answered(job, probe, version)
        log.info("job %s: the same image as job %s, %d faces", job.id, entry.job_id, len(result["faces"]))
        return result

    def _put(self, job: Job, probe: Probe, version: int | None, *, instead: bool) -> None:
        if not self._on:
            return
        key, entry = _key(job, probe), Answered(job.id, job.submitted_at, version)
        with self._lock:
            if version is not None and version > self._version:
                self._follow(version)
            if instead or key not in self._entries:
                self._entries[key] = entry

    def _entry(self, key: Key, version: int) -> Answered | None:
        with self._lock:
            if version != self._version:
                self._follow(version)
            return self._entries.get(key)

    def _follow(self, version: int) -> None:
        """Every answer of another version is out of date, and may name somebody who is erased."""
        for key in [key for key, entry in self._entries.items() if entry.version not in (None, version)]:
            del self._entries[key]
        self._version = version

    def _stored(self, key: Key, entry: Answered, version: int) -> Json | None:
        """The entry's result, encodings and all; an entry that will not do is forgotten."""
        whole = answers.stored_whole(self._blobs, entry.job_id)
        if whole is None and answers.promised(self._blobs, entry.job_id):
            return None
        if whole is not None and whole["status"] == "done" and whole["gallery_version"] == version:
            return whole
        with self._lock:
            if self._entries.get(key) == entry:
                del self._entries[key]
        return None


def _key(job: Job, probe: Probe) -> Key:
    return Key(probe.digest, job.kind, job.top_k, job.everybody)


def _as_own(whole: Json, job: Job, now: float) -> Json:
    timings = Timings(queued=0.0, recognise=0.0, total=round(max(0.0, now - job.submitted_at), 4))
    return whole | {"id": job.id, "filename": job.filename, "timings": asdict(timings)}

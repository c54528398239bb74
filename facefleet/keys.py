"""Where each blob lies. Keys are `area/name`; on AWS `in` and `out` are the input and the output bucket."""

import re
from pathlib import PurePosixPath

INPUT, OUTPUT, RESULTS, QUEUED = "in/", "out/", "results/", "queued/"
PHOTOS, WORKERS, STATE, GALLERY = "photos/", "workers/", "state/", "gallery/"
#: What was sent under an `Idempotency-Key`, in digests; and the seconds for which such a key stands for one request.
IDEMPOTENCY, IDEMPOTENCY_KEPT = "idempotency/", 24 * 3600.0

#: What is forgotten after a while, and what a purge removes. Enrolled photos stay until they are erased.
FORGOTTEN = (INPUT, OUTPUT, RESULTS, QUEUED, IDEMPOTENCY)

#: A large gallery as one file that workers map. It holds encodings: an erasure deletes it, and it is made anew.
SNAPSHOT = GALLERY + "snapshot"
FLEET_STATUS = STATE + "fleet"
#: For Prometheus.
METRICS = STATE + "metrics"
#: What the controller must not forget, and its lease.
CONTROLLER = STATE + "controller"
#: Written by each controller that comes up: whoever replaces its machine sees that the new one can lead.
CAME = STATE + "came"
SETTING_UP = STATE + "setting-up"
PURGED, ERASED = STATE + "purged", STATE + "erased"

#: What a job is called: a UUID's digits.
JOB_ID = re.compile(r"[0-9a-f]{32}")
#: A file name's length, in characters.
MAX_FILENAME = 255


def clean_filename(name: str) -> str:
    """The client's file name made harmless: base name, no colon or control character, never empty."""
    base = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    kept = "".join("_" if c == ":" or not c.isprintable() else c for c in base)[:MAX_FILENAME].strip()
    return kept if kept.strip(".") else "upload"


def stem(filename: str) -> str:
    """`test_00.jpg` → `test_00`: what the classic answer and the output key are called."""
    return PurePosixPath(filename).stem


def input_image(filename: str) -> str:
    return INPUT + filename


def claim(name: str) -> str:
    """Where an image waits that does not fit its message."""
    return f"{INPUT}claims/{name}"


def is_claim(key: str) -> bool:
    """Whether it lies there only until its message is done."""
    return key.startswith(claim(""))


def upload(upload_id: str, filename: str) -> str:
    """Where a file that a client puts there itself lies; the id is its job's."""
    return f"{uploads(upload_id)}{filename}"


def uploads(upload_id: str) -> str:
    return f"{INPUT}uploads/{upload_id}/"


def answer(filename: str, ending: str = "") -> str:
    """`ending`: what a line of results has behind the stem, `.csv` as some expect it; a bare answer has none."""
    return OUTPUT + stem(filename) + ending


def result(job_id: str) -> str:
    return f"{RESULTS}{job_id}.json"


def queued(job_id: str) -> str:
    """Marks that this id was handed to a client, so that asking early says queued, not 404."""
    return QUEUED + job_id


def sent(name: str) -> str:
    """Where it is noted what was sent under a key; the name is that key's digest."""
    return IDEMPOTENCY + name


def photos(person_id: str) -> str:
    return f"{PHOTOS}{person_id}/"


def photo(person_id: str, photo_id: str) -> str:
    return photos(person_id) + photo_id


def heartbeat(worker_id: str) -> str:
    return WORKERS + worker_id


def loggable(key: str) -> str:
    """The key, or only its area where the rest is a person's id: a log outlives an erasure."""
    return PHOTOS if key.startswith(PHOTOS) else key

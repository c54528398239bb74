"""What a run left behind, to be judged: a results file, a folder or a bucket of outputs; and the function's log."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from facefleet import answers, csvline, keys
from facefleet.classroom.verify import Counts, Given
from facefleet.cli.loading import results
from facefleet.errors import BadFile, BadSettings, NotFound

#: How outputs may end as files: the bucket's have no ending, or `.csv`; a relay's are texts.
ENDINGS = frozenset({"", ".csv", ".txt"})
#: Bytes; a line of name and attributes has a hundred.
MOST_OF_AN_OUTPUT = 65_536
BUCKET = "s3://"
#: Outputs that are fetched at the same time.
AT_ONCE = 16
NO_OUTPUT = "not_an_output"
#: What a record's line of the function holds, and no other.
TERM = "outcome"
#: Tries to find one.
MOST_IN_A_LINE = 100
#: Of a request, what its record begins with where it sends something.
HTTP, SENDS = "http", "POST "


def given_by(source: str, columns: Sequence[str]) -> list[Given]:
    """From a results file, a folder, or `s3://bucket`; raises `BadFile` or `BadSettings` for anything else."""
    if source.startswith(BUCKET):
        return list(of_bucket(source))
    path = Path(source)
    if path.is_dir():
        return list(of_folder(path))
    if path.suffix.lower() in results.ENDINGS and path.is_file():
        return [of_row(row, columns) for row in results.read(path)]
    endings = " or ".join(results.ENDINGS)
    raise BadSettings(f"{source}: name a results file ({endings}), a folder of outputs, or {BUCKET}BUCKET")


def is_complete(source: str) -> bool:
    """Whether it tells of uploads without an answer, too."""
    return not source.startswith(BUCKET) and Path(source).is_file()


def of_row(row: results.Row, columns: Sequence[str]) -> Given:
    key, file = keys.stem(row.name), keys.stem(row.file)
    if row.status != results.DONE:
        return Given(key, None, code=row.code or results.FAILED, file=file)
    if row.attributes is None:
        return Given(key, row.answer, file=file)
    return Given(key, row.answer, answers.cells(row.attributes, columns), file=file)


def of_folder(folder: Path) -> Iterator[Given]:
    """Each file of it that may be an output."""
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in ENDINGS and path.is_file() and not path.name.startswith("."):
                with path.open("rb") as file:
                    yield of_output(path.name, file.read(MOST_OF_AN_OUTPUT + 1))
    except OSError as e:
        raise BadFile(f"{e.filename or folder} cannot be read: {e.strerror}") from e


def of_bucket(address: str) -> Iterator[Given]:
    """Each output of `s3://bucket` or `s3://bucket/prefix`."""
    # Here, for boto3 takes half a second to load.
    from facefleet.backends.aws.blobs import S3Blobs
    from facefleet.backends.aws.clients import connect_clients
    from facefleet.backends.aws.s3_keys import BUCKET_NAME

    bucket, _, prefix = address.removeprefix(BUCKET).partition("/")
    if not BUCKET_NAME.fullmatch(bucket):
        raise BadSettings(f"{address} is no address of a bucket: give {BUCKET}NAME, in small letters")
    blobs = S3Blobs(connect_clients().s3, {"out": bucket}, bucket)
    found = {info.key: info.size for info in blobs.list(keys.OUTPUT + prefix)}

    def fetched(key: str) -> bytes | None:
        # Whoever names the bucket of clips shall not wait until all of them are here.
        return blobs.get(key) if found[key] <= MOST_OF_AN_OUTPUT else None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for key, data in zip(sorted(found), pool.map(fetched, sorted(found)), strict=True):
            yield of_output(PurePosixPath(key).name, data)


def of_output(name: str, data: bytes | None) -> Given:
    """`mr_bean,lawyer,freshmen`, or a name alone, which tells no attributes; None is more than any output."""
    key = PurePosixPath(name).stem if PurePosixPath(name).suffix.lower() in ENDINGS else name
    try:
        if data is None or len(data) > MOST_OF_AN_OUTPUT:
            return Given(key, None, code=NO_OUTPUT)
        values = csvline.values_of(data.decode("utf-8-sig").strip("\r\n"))
    except ValueError:
        return Given(key, None, code=NO_OUTPUT)
    if not values:
        return Given(key, None, code=NO_OUTPUT)
    return Given(key, values[0], tuple(values[1:]) or None)


@dataclass(frozen=True, slots=True)
class Log:
    """What a function's log tells of one kind of event, or a relay's spool; None: nobody was called."""

    events: int
    invocations: int | None


def of_log(lines: Iterable[str], event: str) -> Log:
    """Counts records, each once however often it came, and the calls of the function that they came with.

    Of HTTP, where a call is one request, those that send something: who fetches an answer sends nothing.
    """
    records, calls = set[str](), set[str]()
    for told in (one for line in lines for one in objects_in(line)):
        if told.get("event") != event or not {"outcome", "record", "invocation"} <= told.keys():
            continue
        record, call = str(told["record"]), str(told["invocation"])
        if event == HTTP and not record.startswith(SENDS):
            continue
        # Requests have no identity of their own.
        records.add(call if event == HTTP else record)
        calls.add(call)
    return Log(len(records), len(calls))


def objects_in(line: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a line: one, or none, as in the runtime's own; where no CloudWatch parts them, several."""
    decoder, at = json.JSONDecoder(), line.find("{")
    for _ in range(MOST_IN_A_LINE):
        if at < 0:
            return
        try:
            found, end = decoder.raw_decode(line, at)
        except (ValueError, RecursionError):
            at = line.find("{", at + 1)
            continue
        yield found
        at = line.find("{", end)


def log_lines(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            yield from opened
    except OSError as e:
        raise BadFile(f"{file} cannot be read: {e.strerror}") from e


def group_lines(group: str, since: float) -> Iterator[str]:
    """Of the last so many seconds."""
    from facefleet.backends.aws.log_lines import lines

    try:
        yield from lines(group, time.time() - since, term=TERM)
    except NotFound as e:
        raise BadSettings(f"{e}: is that the function's log group, as /aws/lambda/NAME-function?") from e


def of_relay(data: Path, since: float) -> Log:
    """Of the last so many seconds, on the machine of the relay."""
    # Here, since nobody else needs a relay's words.
    from openstack_relay.spool import FILE
    from openstack_relay.status import counted

    found = counted(data / FILE, time.time() - since)
    return Log(found.events, found.called)


def counts_of(given: Sequence[Given], log: Log | None, *, tells_uploads: bool) -> Counts:
    return Counts(
        uploads=len(given) if tells_uploads else None,
        events=log.events if log else None,
        invocations=log.invocations if log else None,
        results=sum(one.name is not None for one in given),
    )

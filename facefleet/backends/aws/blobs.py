"""Blobs on S3, in buckets that keep versions: a deletion reaches all of them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from facefleet.backends.aws.faults import code_of, translated
from facefleet.backends.aws.s3_files import LastUnnamed, filled, on_disk
from facefleet.backends.aws.s3_keys import Layout, Place
from facefleet.errors import Conflict, NotFound, Unavailable
from facefleet.keys import loggable
from facefleet.model import BlobInfo
from facefleet.ports import Presigned
from facefleet.settings import Settings

#: Puts that one `put_all` has under way at the same time.
AT_ONCE = 8
#: What addresses of AWS's own S3 end in.
AWS = ".amazonaws.com"
#: Bytes of a download held in memory.
CHUNK = 1 << 20
#: Tries of a batch delete whose answer says of some versions that S3 failed; botocore tries whole calls again only.
DELETE_TRIES = 3
#: "We encountered an internal error. Please try again."
#: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
PASSING = frozenset({"InternalError"})
#: What a list of versions holds.
KINDS = ("Versions", "DeleteMarkers")
#: What S3 calls a version of an object. `If-Match: *` would fit anything.
ETAG = re.compile(r'"[^"*]+"')


class S3Blobs:
    """`buckets` by area; the other areas lie in the bucket `rest`, each under its name. Threads may share it."""

    def __init__(self, s3: Any, buckets: Mapping[str, str], rest: str, *, signer: Any = None) -> None:
        """`signer`: the client that makes URLs for others, where S3 is AWS's own."""
        self._s3 = s3
        self._signer = signer or s3
        self._layout = Layout(buckets, rest)
        self._last = LastUnnamed()

    @classmethod
    def of(cls, settings: Settings, s3: Any, *, signer: Any = None) -> "S3Blobs":
        """In the buckets that the settings name."""
        buckets = {"in": settings.input_bucket, "out": settings.output_bucket}
        return cls(s3, buckets, settings.state_bucket, signer=signer)

    def put(self, key: str, data: bytes) -> None:
        at = self._layout.place(key)
        with asking(f"writing {loggable(key)}"):
            self._s3.put_object(Bucket=at.bucket, Key=at.key, Body=data)

    def put_all(self, blobs: Mapping[str, bytes]) -> None:
        """All but the last at the same time, then the last: who finds that one finds the others."""
        if not blobs:
            return
        *others, last = blobs
        if others:
            with ThreadPoolExecutor(min(len(others), AT_ONCE)) as pool:
                # The list waits for all of them, and raises what went wrong.
                list(pool.map(lambda key: self.put(key, blobs[key]), others))
        self.put(last, blobs[last])

    def put_file(self, key: str, fill: Callable[[Path], object]) -> None:
        at = self._layout.place(key)
        with on_disk(f"making {loggable(key)}"), filled(fill) as file, asking(f"writing {loggable(key)}"):
            # In several parts where it is large; if one fails, S3 is told to drop the others.
            self._s3.upload_fileobj(file, at.bucket, at.key)

    def get(self, key: str) -> bytes:
        return self.tagged(key)[0]

    def tagged(self, key: str) -> tuple[bytes, str]:
        with asking(f"reading {loggable(key)}"):
            found = self._found(key)
            return found["Body"].read(), found["ETag"]

    def put_if(self, key: str, data: bytes, *, tag: str | None) -> str:
        at = self._layout.place(key)
        if tag is not None and not ETAG.fullmatch(tag):
            raise Conflict(f"nothing that lies at {loggable(key)} has the tag {tag!r}")
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        try:
            with asking(f"changing {loggable(key)}"):
                written = self._s3.put_object(Bucket=at.bucket, Key=at.key, Body=data, **condition)
        except NotFound as e:
            # S3's word for If-Match where nothing lies.
            raise Conflict(f"{loggable(key)} was deleted by somebody else") from e
        etag: str = written["ETag"]
        return etag

    def local(self, key: str) -> Path:
        """A file without a name, by its number in this process; this thread's next call may close it."""
        with on_disk(f"fetching {loggable(key)}"), asking(f"reading {loggable(key)}"):
            return self._last.replace(self._found(key)["Body"].iter_chunks(CHUNK))

    def _found(self, key: str) -> Any:
        at = self._layout.place(key)
        return self._s3.get_object(Bucket=at.bucket, Key=at.key)

    def presigned(self, key: str, *, size: int, type: str, seconds: float) -> Presigned:
        """As `Presign` says: size and type are signed, so that S3 takes nothing else."""
        at = self._layout.place(key)
        about = {"Bucket": at.bucket, "Key": at.key, "ContentLength": size, "ContentType": type}
        # An emulator, or a bucket whose name no certificate of a subdomain fits, is addressed by a path.
        is_plain = "." in at.bucket or not self._s3.meta.endpoint_url.endswith(AWS)
        with asking(f"signing for {loggable(key)}"):
            url: str = (self._s3 if is_plain else self._signer).generate_presigned_url(
                "put_object", Params=about, ExpiresIn=int(seconds)
            )
        return Presigned(url, {"Content-Type": type, "Content-Length": str(size)})

    def list(self, prefix: str, *, every_version: bool = False) -> Iterator[BlobInfo]:
        """As the port says; every version: each mark of a deletion, too, as an empty one."""
        word, _, start = prefix.partition("/")
        area = self._layout.area(word)
        verb, found = ("list_object_versions", newest_of) if every_version else ("list_objects_v2", contents_of)
        with asking(f"listing {loggable(prefix)}"):
            pages = self._s3.get_paginator(verb).paginate(Bucket=area.bucket, Prefix=area.prefix(start))
            for one in found(pages):
                name = area.name(one["Key"])
                if name is not None and name.startswith(start):
                    yield BlobInfo(f"{word}/{name}", one.get("Size", 0), one["LastModified"].timestamp())

    def delete(self, key: str) -> bool:
        """Every version, and every mark that an object was deleted; False if there was no version."""
        at = self._layout.place(key)
        was_there = False
        with asking(f"deleting {loggable(key)}"):
            while True:
                page = self._s3.list_object_versions(Bucket=at.bucket, Prefix=at.key)
                history = history_of(at.key, page)
                was_there |= bool(history.versions)
                self._erase(at, history.versions + history.markers)
                if not history.goes_on:
                    return was_there

    def delete_older(self, key: str) -> None:
        at = self._layout.place(key)
        with asking(f"deleting older versions of {loggable(key)}"):
            while True:
                # Newest first: what lies there now heads each page, and what was behind it is gone from the next.
                history = history_of(at.key, self._s3.list_object_versions(Bucket=at.bucket, Prefix=at.key))
                self._erase(at, tuple(one for one in history.versions + history.markers if one not in history.latest))
                if not history.goes_on:
                    return

    def _erase(self, at: Place, versions: tuple[str, ...]) -> None:
        for tries_left in reversed(range(DELETE_TRIES)):
            if not versions:
                return
            objects = [{"Key": at.key, "VersionId": version} for version in versions]
            answer = self._s3.delete_objects(Bucket=at.bucket, Delete={"Objects": objects, "Quiet": True})
            # A batch that went wrong for one is a success, and says so in here alone.
            errors = answer.get("Errors", ())
            for error in errors:
                if error["Code"] not in PASSING or not tries_left:
                    raise ClientError({"Error": error}, "DeleteObjects")
            versions = tuple(error["VersionId"] for error in errors)


@dataclass(frozen=True, slots=True)
class History:
    """An object's versions and marks of its deletion, as far as one page tells."""

    versions: tuple[str, ...]
    markers: tuple[str, ...]
    #: The one of them that the object is now, if it is on this page.
    latest: frozenset[str]
    goes_on: bool


def history_of(key: str, page: Mapping[str, Any]) -> History:
    """From a page of objects that begin with this key; the one that is just this comes first."""

    versions, markers = ([one for one in page.get(kind, ()) if one["Key"] == key] for kind in KINDS)
    latest = frozenset(one["VersionId"] for one in versions + markers if one["IsLatest"])
    goes_on = page["IsTruncated"] and page.get("NextKeyMarker") == key
    return History(_ids(versions), _ids(markers), latest, goes_on)


def _ids(found: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(one["VersionId"] for one in found)


def contents_of(pages: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (one for page in pages for one in page.get("Contents", ()))


def newest_of(pages: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Of each object the version or mark that it is now."""
    return (one for page in pages for kind in KINDS for one in page.get(kind, ()) if one["IsLatest"])


@contextmanager
def asking(what: str) -> Iterator[None]:
    """As `translated`, but that a bucket that is missing is no blob that is missing, and that no URL is told."""
    with translated(what):
        try:
            yield
        except ClientError as e:
            if code_of(e) == "NoSuchBucket":
                raise Unavailable(f"{what}: there is no such bucket: `facefleet setup` makes it") from e
            raise
        except NoCredentialsError:
            raise
        except BotoCoreError as e:
            # Its words, and those of what it stems from, hold the URL, which may hold a person's id.
            raise Unavailable(f"{what}: S3 does not answer ({type(e).__name__})") from None

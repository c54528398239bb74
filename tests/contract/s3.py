"""S3 as tests of it look at it, and have it refuse things that it would not refuse at their word."""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSResponse, HeadersDict

DENIED = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"


def before_send(s3: Any, operation: str, do: Callable[[str], "AWSResponse | None"]) -> None:
    """Has `do` see each request's URL before it is sent; what it returns is S3's answer, without S3."""
    s3.meta.events.register(f"before-send.s3.{operation}", lambda request, **_: do(request.url))


def answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> AWSResponse:
    return AWSResponse("https://s3", status, HeadersDict(headers or {}), Raw(body))


class Raw(BytesIO):
    """A body as urllib3 hands it to botocore."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def kept(s3: Any, bucket: str) -> list[str]:
    """Keys of all versions and of all marks of deletion."""
    page = s3.list_object_versions(Bucket=bucket)
    return sorted(one["Key"] for kind in ("Versions", "DeleteMarkers") for one in page.get(kind, ()))

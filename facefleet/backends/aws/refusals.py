"""Calls that EC2 or Auto Scaling refuses for what they ask for: nothing was done, and to ask again brings nothing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from facefleet.backends.aws.faults import DENIED, MEANINGS, code_of
from facefleet.errors import Conflict, NoCapacity, ServiceError, Throttled

#: Of the caller, or of the moment, whatever is asked for.
#: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
NOT_OF_WHAT_IS_ASKED = (DENIED | MEANINGS[Throttled] | MEANINGS[Conflict]) | {
    "Blocked",
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "OptInRequired",
    "PendingVerification",
    "RequestExpired",
    "ScalingActivityInProgress",
    "SignatureDoesNotMatch",
}


def is_of_what_was_asked(error: BaseException | None) -> bool:
    """Whether another subnet, type or instance might not be refused."""
    if not isinstance(error, ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return 400 <= status < 500 and code_of(error) not in NOT_OF_WHAT_IS_ASKED


@contextmanager
def lacking(what: str) -> Iterator[None]:
    """Raises `NoCapacity`, in AWS's words, for what it will not do: the next on offer is asked for, this one later."""
    try:
        yield
    except ClientError as e:
        if not is_of_what_was_asked(e):
            raise
        raise NoCapacity(f"{what}: {code_of(e)}: {e.response['Error'].get('Message', '')}") from e


def each(call: Callable[[str], object], ids: Iterable[str]) -> None:
    """Asks for one after the other; one that is refused keeps nobody else. Raises the first refusal, at the end."""
    refused = []
    for id in ids:
        try:
            call(id)
        except ServiceError as e:
            if not is_of_what_was_asked(e.__cause__):
                raise
            refused.append(e)
    if refused:
        raise refused[0]

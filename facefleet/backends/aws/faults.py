"""What AWS refuses, in our words: named by what the caller can do about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from facefleet.errors import Conflict, NoCapacity, NotFound, ServiceError, Throttled, TooLarge, Unavailable


class Invalid(Unavailable):
    """A parameter will not do: SQS's word for a lease that has ended, too, and for a message that is too long."""

    code = "invalid"


class TooSoon(Unavailable):
    """The name was somebody's a moment ago: a queue may be made again a minute after it was deleted."""

    code = "too_soon"


class PurgedAlready(Unavailable):
    """A purge of this queue began within the last minute, and goes on."""

    code = "purged_already"


class Expired(Unavailable):
    """The credentials were good, and are no more: sign in again, or have the role's renewed."""

    code = "expired"


#: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html, and each service's own page.
MEANINGS: dict[type[ServiceError], frozenset[str]] = {
    NotFound: frozenset(
        {
            "404",
            "NoSuchKey",
            "NoSuchVersion",
            "NoSuchBucket",
            "AWS.SimpleQueueService.NonExistentQueue",
            "QueueDoesNotExist",
            "ResourceNotFoundException",
        }
    ),
    Conflict: frozenset(
        {
            "412",
            "PreconditionFailed",
            "ConditionalRequestConflict",
            "ConditionalCheckFailedException",
            "IdempotentInstanceTerminated",
            "IdempotentParameterMismatch",
        }
    ),
    NoCapacity: frozenset(
        {
            "InsufficientInstanceCapacity",
            "InsufficientHostCapacity",
            "InsufficientCapacity",
            "InsufficientFreeAddressesInSubnet",
            "InstanceLimitExceeded",
            "MaxSpotInstanceCountExceeded",
            "SpotMaxPriceTooLow",
            "Unsupported",
            "VcpuLimitExceeded",
        }
    ),
    Throttled: frozenset(
        {
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        }
    ),
    PurgedAlready: frozenset({"AWS.SimpleQueueService.PurgeQueueInProgress", "PurgeQueueInProgress"}),
    TooLarge: frozenset({"EntityTooLarge"}),
    TooSoon: frozenset({"AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently"}),
    Expired: frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"}),
    Invalid: frozenset(
        {
            "AWS.SimpleQueueService.MessageNotInflight",
            "InvalidParameterValue",
            "MessageNotInflight",
            "ReceiptHandleIsInvalid",
        }
    ),
}
DENIED = frozenset({"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure"})


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raises what happens within as our errors; `what` is being done, as "sending to Q"."""
    try:
        yield
    except ClientError as e:
        raise in_our_words(e, what) from e
    except NoCredentialsError as e:
        raise Unavailable(f"{what}: no AWS credentials were found: give the machine a role, or set AWS_PROFILE") from e
    except (BotoCoreError, ResponseParserError) as e:
        # The latter is none of botocore's own family: a proxy's page, say, where XML was due.
        raise Unavailable(f"{what}: AWS does not answer ({e})") from e
    except RuntimeError as e:
        if not _is_of_credentials(e):
            raise
        raise Unavailable(f"{what}: no AWS credentials that are valid now ({e})") from e


def _is_of_credentials(error: RuntimeError) -> bool:
    """botocore's own word for a role's keys that it fetched anew, and that are old still, is no class of its own."""
    return type(error) is RuntimeError and "credentials" in str(error)


def in_our_words(error: ClientError, what: str) -> ServiceError:
    code = code_of(error)
    for meaning, codes in MEANINGS.items():
        if code in codes:
            return meaning(f"{what}: {code}: {error.response['Error'].get('Message', '')}")
    if code in DENIED:
        return Unavailable(f"{what}: AWS does not allow it ({code}): `facefleet doctor` tells what is missing")
    return Unavailable(f"{what}: AWS refuses ({code}: {error.response.get('Error', {}).get('Message', '')})")

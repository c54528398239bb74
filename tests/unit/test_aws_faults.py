"""Whatever botocore raises for want of AWS is our word for it; what is a mistake of ours stays one."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from facefleet.backends.aws.faults import PurgedAlready, TooSoon, translated
from facefleet.errors import Conflict, ServiceError, Unavailable

#: As botocore words it, in `RefreshableCredentials`.
STILL_EXPIRED = "Credentials were refreshed, but the refreshed credentials are still expired."


@pytest.mark.parametrize(
    "raised",
    [
        EndpointConnectionError(endpoint_url="http://sqs"),
        ResponseParserError("Unable to parse response"),
        RuntimeError(STILL_EXPIRED),
    ],
    ids=lambda raised: type(raised).__name__,
)
def test_no_answer_of_aws_is_unavailable(raised: Exception) -> None:
    with pytest.raises(Unavailable, match="sending"), translated("sending"):
        raise raised


@pytest.mark.parametrize("raised", [RuntimeError("can't start new thread"), ValueError("x"), Conflict("x")])
def test_what_is_no_fault_of_aws_stays_what_it_is(raised: Exception) -> None:
    with pytest.raises(type(raised)) as seen, translated("sending"):
        raise raised
    assert seen.value is raised


@pytest.mark.parametrize("prefix", ["", "AWS.SimpleQueueService."])
@pytest.mark.parametrize(("code", "kind"), [("QueueDeletedRecently", TooSoon), ("PurgeQueueInProgress", PurgedAlready)])
def test_what_sqs_refuses_for_a_minute_is_told_apart(prefix: str, code: str, kind: type[ServiceError]) -> None:
    with pytest.raises(kind), translated("asking"):
        raise ClientError({"Error": {"Code": prefix + code, "Message": "wait"}}, "Any")

"""SQS, S3 and DynamoDB on a loopback port, by ministack; `GET /_counts` tells how many calls each operation had.

Run by the Python of `.emulators`, as `store.py PORT`. With `CLOUD_ENDPOINT` it is the half of an account that has the
stacks, too: `stacks.py`.
"""

import asyncio
import json
import os
import sys
from collections import Counter

PORT, HOST = sys.argv[1], os.environ.get("EMULATOR_HOST", "127.0.0.1")
# Before ministack reads them: it would listen on two more ports, and look for a Docker engine.
os.environ |= {"GATEWAY_PORT": PORT, "BIND_HOST": HOST, "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0"}
os.environ.setdefault("LOG_LEVEL", "ERROR")

from hypercorn.asyncio import serve  # noqa: E402
from hypercorn.config import Config  # noqa: E402
from ministack.app import app as ministack  # noqa: E402
from ministack.core import iam_actions  # noqa: E402
from ministack.services.s3 import _bucket_owner_account  # noqa: E402
from payloads import Metered  # noqa: E402

if "CLOUD_ENDPOINT" in os.environ:
    os.environ["STORE_ENDPOINT"] = f"http://{HOST}:{PORT}"
    import stacks

    stacks.install()

COUNTS: Counter[str] = Counter()
ARNS, ACTION = iam_actions.dynamodb_resource_arns, iam_actions.extract_iam_action


def arns_with_tagged(body: bytes, region: str, account_id: str) -> list[str]:
    """A call about a table's tags is about that table, which ministack's judge does not see."""
    return ARNS(body, region, account_id) or [arn for arn in [json.loads(body or b"{}").get("ResourceArn")] if arn]


def action_of_one(*call) -> str | None:
    """IAM knows no batches of SQS's, who may delete one message may delete ten; ministack's judge thinks otherwise.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
    """
    action = ACTION(*call)
    return action.removesuffix("Batch") if action and action.startswith("sqs:") else action


iam_actions.dynamodb_resource_arns = arns_with_tagged
iam_actions.extract_iam_action = action_of_one


def is_expected(scope) -> bool:
    """S3 answers for nobody's bucket but that of who is expected to own it; ministack does not look."""
    expected = dict(scope["headers"]).get(b"x-amz-expected-bucket-owner", b"").decode()
    return not expected or _bucket_owner_account(scope["path"].split("/")[1]) in (expected, None)


async def counting(scope, receive, send):
    if scope["type"] == "http":
        if scope["path"] == "/_counts":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": json.dumps(COUNTS).encode()})
            return
        COUNTS[operation(scope)] += 1
        if not is_expected(scope):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        if "TLS_IN_FRONT" in os.environ:
            # As whoever ends TLS says it. Behind what the caller says, so that a test may say otherwise.
            scope["headers"] = [*scope["headers"], (b"x-forwarded-proto", b"https")]
    await ministack(scope, receive, send)


def operation(scope) -> str:
    """`sqs SendMessage`, `dynamodb GetItem`, `s3 PUT`."""
    headers = {name.lower(): value.decode() for name, value in scope["headers"]}
    target = headers.get(b"x-amz-target", "")
    if target.startswith("AmazonSQS."):
        return f"sqs {target.partition('.')[2]}"
    if target.startswith("DynamoDB"):
        return f"dynamodb {target.partition('.')[2]}"
    return f"s3 {scope['method']}"


if __name__ == "__main__":
    config = Config()
    config.bind = [f"{HOST}:{PORT}"]
    config.keep_alive_timeout = 75
    config.loglevel = "ERROR"
    asyncio.run(serve(Metered(counting, operation), config))

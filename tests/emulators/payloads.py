"""What each operation's calls carried: `GET /_payloads` tells calls, chunks of 64 KB as SQS bills them, and bytes.

A call's bytes are those of its request or of its answer, whichever are more. Of S3, LIST is told apart from GET.
"""

import json
from collections import Counter

#: SQS bills each 64 KB begun as one request: https://aws.amazon.com/sqs/pricing/
CHUNK = 64 * 1024


class Metered:
    """An ASGI application around another; `operation` names a call by its scope."""

    def __init__(self, app, operation) -> None:
        self.app = app
        self.operation = operation
        self.counts = {"calls": Counter(), "chunks": Counter(), "bytes": Counter()}

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_"):
            return await self.answer(scope, receive, send)
        answered = 0

        async def counted(message) -> None:
            nonlocal answered
            answered += len(message.get("body", b""))
            if message["type"] == "http.response.body" and not message.get("more_body"):
                # Before its last byte leaves: who has the answer finds the call counted.
                self.count(self.named(scope), max(asked(scope), answered))
            await send(message)

        await self.app(scope, receive, counted)

    async def answer(self, scope, receive, send) -> None:
        if scope["type"] != "http" or scope["path"] != "/_payloads":
            return await self.app(scope, receive, send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(self.counts).encode()})

    def count(self, operation: str, size: int) -> None:
        self.counts["calls"][operation] += 1
        self.counts["chunks"][operation] += max(1, -(-size // CHUNK))
        self.counts["bytes"][operation] += size

    def named(self, scope) -> str:
        is_list = b"list-type=" in scope["query_string"] or b"versions" in scope["query_string"]
        name = self.operation(scope)
        return "s3 LIST" if name == "s3 GET" and is_list else name


def asked(scope) -> int:
    """Bytes of the request's body."""
    return int(dict(scope["headers"]).get(b"content-length", b"0"))

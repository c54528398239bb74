"""The metadata service of every instance, version 2, under `/imds/ID/latest/…`: the path tells which one asks."""

import json
import secrets
from datetime import UTC, datetime, timedelta

from facts import facts, iso
from werkzeug.wrappers import Request, Response

TTL, TOKEN = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"
#: EC2 gives a spot instance two minutes.
NOTICE = timedelta(minutes=2)


class Metadata:
    def __init__(self) -> None:
        self._tokens: set[str] = set()
        self._notices: dict[tuple[str, str], str] = {}

    def give_notice(self, id: str, kind: str, after: float | None = None) -> None:
        """`spot`: it is taken away soon, or after these seconds; `rebalance`: it may be."""
        now = datetime.now(UTC)
        end = now + (NOTICE if after is None else timedelta(seconds=after))
        words = {
            "spot": {"action": "terminate", "time": iso(end)},
            "rebalance": {"noticeTime": iso(now)},
        }
        self._notices[id, kind] = json.dumps(words[kind])

    def answer(self, request: Request) -> Response:
        _, _, id, *rest = request.path.split("/", 3)
        path = rest[0].removeprefix("latest/") if rest else ""
        if path == "api/token":
            return self._token(request)
        if request.headers.get(TOKEN) not in self._tokens:
            return Response(status=401)
        notices = {
            "meta-data/spot/instance-action": self._notices.get((id, "spot")),
            "meta-data/events/recommendations/rebalance": self._notices.get((id, "rebalance")),
        }
        found = (facts(id) | notices).get(path)
        return Response(status=404) if found is None else Response(found, mimetype="text/plain")

    def _token(self, request: Request) -> Response:
        if request.method != "PUT" or TTL not in request.headers:
            return Response(status=400)
        token = secrets.token_urlsafe()
        self._tokens.add(token)
        return Response(token, headers={TTL: request.headers[TTL]}, mimetype="text/plain")

"""The Pi's client at the function's entrance: its handler behind real sockets, on real buckets, queues and tables."""

import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from awake import BLACK, KEYS, RED, image_of, picture
from unit.clips import clip_of
from unit.standin import Asked, Said, StandIn
from woken import KEY, asked_2, put, records

from bench import emulators
from facefleet import keys
from pi_uploader.answers import Outcome
from pi_uploader.check_service import service as checked
from pi_uploader.door import Door
from pi_uploader.service import Service
from pi_uploader.settings import Settings
from pi_uploader.spool import Item

from .functions import CLIP, Account, open_account

#: Seconds until S3 has told the function of what was put there.
EVENT_AFTER = 0.3


class Gateway:
    """What API Gateway and S3 do: requests become events, and so does each file that was put."""

    def __init__(self, account: Account) -> None:
        self.account, self.told = account, set[str]()
        # A function has one event in hand.
        self._turn = threading.Lock()

    def __call__(self, asked: Asked) -> Said:
        url = urlsplit(asked.path)
        event = asked_2(asked.method, url.path, asked.body, headers=lower(asked.headers), **dict(parse_qsl(url.query)))
        if "x-api-key" not in lower(asked.headers):
            del event["headers"]["x-api-key"]
        with self._turn:
            answer = self.account.wake(event)
        body = answer.get("body") or ""
        whole = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        return Said(answer["statusCode"], whole, answer.get("headers") or {})

    def tell(self) -> None:
        """Of what was put there since, as S3 does."""
        for info in self.account.outside.blobs.list(f"{keys.INPUT}uploads/"):
            if info.key not in self.told:
                self.told.add(info.key)
                time.sleep(EVENT_AFTER)
                with self._turn:
                    self.account.wake(
                        records(put(self.account.settings.input_bucket, info.key.removeprefix(keys.INPUT)))
                    )


def lower(headers: dict[str, str]) -> dict[str, str]:
    """As HTTP APIs and function URLs have them."""
    return {name.lower(): value for name, value in headers.items()}


@pytest.fixture
def gateway(store: emulators.Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    for name, value in store.env.items():
        monkeypatch.setenv(name, value)
    return Gateway(open_account(tmp_path).with_outside(keys=lambda: KEYS))


@pytest.fixture
def url(gateway: Gateway) -> Iterator[str]:
    over = threading.Event()

    def tell() -> None:
        while not over.wait(0.05):
            gateway.tell()

    with StandIn(gateway) as standin:
        telling = threading.Thread(target=tell)
        telling.start()
        yield standin.url
        over.set()
        telling.join(20)


FRAME = (Item(1, 1e9, "ab" * 16, "frame-1", "jpg"), picture(RED))
MP4 = (Item(2, 1e9, "cd" * 16, "clip-1", "mp4"), CLIP)
H264 = (Item(3, 1e9, "ef" * 16, "clip-2", "h264"), clip_of((image_of(RED), 0.5), kind="h264"))


@pytest.mark.parametrize("capture", [FRAME, MP4, H264], ids=["frame", "mp4", "h264"])
@pytest.mark.parametrize("upload", ["direct", "presigned"])
def test_a_capture_is_answered_by_the_function(
    upload: str, capture: tuple[Item, bytes], url: str, gateway: Gateway
) -> None:
    settings = Settings(url=url, api_key=KEY, upload=upload)
    asking = Service(Door(settings), presigned=upload == "presigned")
    answer = asking.ask(*capture)
    assert (answer.outcome, answer.people) == (Outcome.KNOWN, ("Mr. Bean",))
    assert answer.at > 0 if capture is MP4 else answer.at == 0
    if upload == "presigned":
        (key,) = [info.key for info in gateway.account.outside.blobs.list(keys.uploads(answer.job_id))]
        assert gateway.account.outside.blobs.get(key) == capture[1]


@pytest.mark.parametrize("upload", ["direct", "presigned"])
def test_what_is_no_clip_is_refused_and_a_clip_of_nobody_is_unknown(upload: str, url: str) -> None:
    asking = Service(Door(Settings(url=url, api_key=KEY)), presigned=upload == "presigned")
    refused = asking.ask(Item(4, 1e9, "12" * 16, "clip-3", "mp4"), b"\0\0\0\x18ftypisom" + b"x" * 100)
    assert (refused.outcome, refused.code) == (Outcome.REFUSED, "damaged_video")
    nobody = asking.ask(Item(5, 1e9, "34" * 16, "clip-4", "mp4"), clip_of((image_of(BLACK), 0.3)))
    assert (nobody.outcome, nobody.words) == (Outcome.UNKNOWN, "unknown (no face)")


@pytest.mark.parametrize(("key", "is_well"), [(KEY, True), ("wrong", False)])
def test_the_check_knows_a_function(key: str, is_well: bool, url: str) -> None:
    found = {one.check: one for one in checked(Settings(url=url, api_key=key, upload="presigned"))}
    assert found["service"].ok and found["ready"].ok
    assert (found["key"].ok, found["uploads"].ok) == (is_well, is_well), found

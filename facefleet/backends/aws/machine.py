"""The EC2 instance that this process runs on, as its metadata service tells (IMDSv2)."""

import os
import platform
import time
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from pathlib import Path

import botocore.session
import requests

from facefleet.errors import Unavailable

#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
ENDPOINTS = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
#: The longest that a token may live: six hours.
TOKEN_LIVES = 21_600
#: A token is renewed so long before its end.
RENEW_BEFORE = 60.0
#: Seconds; it answers in milliseconds, and elsewhere nobody does.
TIMEOUT = 1.0
#: Tries for the instance's id where nothing says that this is an instance.
TRIES = 3
#: Who made the machine, as its firmware says, and how it calls EC2:
#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html
VENDOR, EC2 = Path("/sys/class/dmi/id/sys_vendor"), "Amazon EC2"
#: Seconds that an instance tries for its id, and between two tries: under a wrong name it would never be seen working.
PATIENCE, PAUSE = 60.0, 1.0
#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html and
#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html, by what they say of the machine.
NOTICES = {
    "spot/instance-action": "its spot capacity ends",
    "events/recommendations/rebalance": "its spot capacity may end soon",
}


class Ec2Machine:
    """Elsewhere than on EC2, a machine that has this process's name and stays."""

    def __init__(self, vendor: Path = VENDOR) -> None:
        self._is_instance = made_by(vendor) == EC2
        self._session = requests.Session()
        # The address is this machine's own: no proxy knows it.
        self._session.trust_env = False
        self._endpoint = endpoint()
        self._token = ""
        self._token_ends = float("-inf")

    def id(self) -> str:
        """As the port says; on EC2 it raises `Unavailable` where the instance does not learn its name."""
        return self._instance or f"{platform.node()}-{os.getpid()}"

    def notice(self) -> str | None:
        try:
            if self._instance is None:
                return None
            told = ((self._get(path), words) for path, words in NOTICES.items())
            return next((f"{words}: {text}" for text, words in told if text is not None), None)
        except Unavailable:
            # Asked again soon.
            return None

    @cached_property
    def _instance(self) -> str | None:
        if self._endpoint is None:
            return None
        for _ in range(TRIES):
            with suppress(Unavailable):
                return self._get("instance-id")
        return self._awaited_instance() if self._is_instance else None

    def _awaited_instance(self) -> str | None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(PAUSE)
            with suppress(Unavailable):
                return self._get("instance-id")
        # Its service is started again, and asks again.
        raise Unavailable(
            f"this is an instance of EC2, and {self._endpoint} did not tell its id for {PATIENCE:.0f} s: in a "
            "container allow two hops to it, or name the worker with --instance, or set AWS_EC2_METADATA_DISABLED=true"
        )

    def _get(self, path: str) -> str | None:
        """What it says; None if there is nothing. Raises `Unavailable`."""
        url = f"{self._endpoint}/latest/meta-data/{path}"
        answer = self._ask("GET", url, {"X-aws-ec2-metadata-token": self._valid_token()})
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            # A machine that slept has lost its tokens.
            self._token_ends = float("-inf")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        return text_of(answer)

    def _valid_token(self) -> str:
        if time.monotonic() >= self._token_ends - RENEW_BEFORE:
            asked = time.monotonic()
            headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_LIVES)}
            self._token = text_of(self._ask("PUT", f"{self._endpoint}/latest/api/token", headers))
            self._token_ends = asked + TOKEN_LIVES
        return self._token

    def _ask(self, method: str, url: str, headers: dict[str, str]) -> requests.Response:
        try:
            return self._session.request(method, url, headers=headers, timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as e:
            raise Unavailable(f"no metadata service answers at {self._endpoint}: {e}") from e


def endpoint() -> str | None:
    """Where boto3's own settings say that it is; None where they say not to ask."""
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    settings = botocore.session.get_session()
    chosen = settings.get_config_variable("ec2_metadata_service_endpoint")
    mode = settings.get_config_variable("ec2_metadata_service_endpoint_mode")
    return str(chosen or ENDPOINTS["ipv6" if mode == "ipv6" else "ipv4"]).rstrip("/")


def made_by(vendor: Path) -> str:
    """Empty where the firmware says nothing."""
    try:
        return vendor.read_text().strip()
    except OSError:
        return ""


def text_of(answer: requests.Response) -> str:
    if answer.status_code != HTTPStatus.OK:
        raise Unavailable(f"the metadata service refuses: {answer.status_code}")
    return answer.text.strip()

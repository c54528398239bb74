"""A function's address, as anybody on the Internet meets it: whether it is up, and answers an upload."""

from collections.abc import Callable
from urllib.parse import urljoin

import requests

from facefleet.backends.aws.account.looks import looks
from facefleet.cli.public import in_short, picture, root_of

#: Seconds to connect and to answer: a first call loads the models, and API Gateway waits for half a minute.
TIMEOUT = (3.0, 35.0)


def trouble(url: str, key: str) -> str:
    """Why an upload is not answered; empty: it is."""
    try:
        alive = requests.get(urljoin(url, "healthz"), timeout=TIMEOUT)
        if not alive.ok:
            return f"{url} is not up ({alive.status_code}: {in_short(alive)})"
        headers = {"x-api-key": key, "Content-Type": "image/png"}
        answer = requests.post(urljoin(url, "v1/recognitions"), data=picture(), headers=headers, timeout=TIMEOUT)
        if answer.status_code != requests.codes.ok or answer.json().get("status") != "done":
            return f"an upload is not answered ({answer.status_code}: {in_short(answer)})"
        return ""
    except requests.RequestException as e:
        return f"{url} does not answer ({root_of(e)})"


def await_answer(look: Callable[[], str], patience: float, tell: Callable[[str], object]) -> str:
    """Empty once an upload was answered; otherwise why none was, in so many seconds."""
    words = ""
    for _ in looks(patience):
        words = look()
        if not words:
            return ""
        tell(f"waiting until it answers an upload ({words})")
    return words

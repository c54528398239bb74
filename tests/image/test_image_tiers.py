"""The tiers' image: as it comes, with keys and a folder for its data, it serves."""

import json
import signal
import subprocess
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from bench.container import Image
from bench.local import awaited, free_port

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]

#: In the image, where nobody else is.
DATA = "/tmp/data"  # noqa: S108
#: Seconds until a process that was told to end has.
PATIENCE = 30.0


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=3) as answer:  # noqa: S310  # our own http address
            return bool(answer.status == 200)
    except URLError:
        return False


def test_the_web_tier_comes_up_is_healthy_and_ends_when_told(web: Image, tmp_path: Path) -> None:
    port = str(free_port())
    own = {"FACEFLEET_PORT": port, "FACEFLEET_DATA": DATA, "FACEFLEET_API_KEYS": "a-key:admin"}
    check = web.settings["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(web.entry(**own), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            awaited(lambda: answers(f"http://127.0.0.1:{port}/healthz"), (tmp_path / "log").read_text())
            assert subprocess.run(web.entry(*check[1:], **own), timeout=PATIENCE).returncode == 0
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0, (tmp_path / "log").read_text()
    assert subprocess.run(web.entry(*check[1:], **own), stderr=subprocess.DEVNULL, timeout=PATIENCE).returncode != 0


def test_all_tiers_in_one_container_recognise_with_its_own_models(web: Image, photos: Path, tmp_path: Path) -> None:
    port, key = str(free_port()), "a-key"
    own = {"FACEFLEET_PORT": port, "FACEFLEET_DATA": DATA, "FACEFLEET_API_KEYS": f"{key}:admin"}
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("wb") as log:
        everything = web.entry(*web.settings["Entrypoint"], "facefleet.cli", "up", **own)
        process = subprocess.Popen(everything, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            awaited(lambda: answers(f"{url}/healthz"), "up answers")
            photo = (photos / "obama.jpg").read_bytes()
            asked = Request(f"{url}/v1/recognitions", photo, {"x-api-key": key, "content-type": "image/jpeg"})  # noqa: S310
            with urlopen(asked, timeout=60) as answer:  # noqa: S310  # our own http address
                result = json.load(answer)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(2 * PATIENCE)
    assert (result["status"], result["answer"], len(result["faces"])) == ("done", "unknown", 1)
    assert "dlib itself" not in (tmp_path / "log").read_text()


def test_without_keys_it_serves_nobody_and_says_why(web: Image) -> None:
    done = web.run()
    assert done.returncode == 78
    assert "FACEFLEET_API_KEYS" in done.stderr


def test_its_data_folder_is_its_own(web: Image) -> None:
    status = (web.root / "data").stat()
    assert (f"{status.st_uid}:{status.st_gid}", status.st_mode & 0o777) == (web.settings["User"], 0o700)

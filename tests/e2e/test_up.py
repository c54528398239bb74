"""`facefleet up`, the command behind `make run`: everything starts, says so, and leaves nothing behind."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from services import PATIENCE, Service, until

pytestmark = pytest.mark.slow


@pytest.fixture
def samples(tmp_path: Path, photos: Path) -> Path:
    folder = tmp_path / "people"
    for person in ("obama", "biden"):
        (folder / person).mkdir(parents=True)
        shutil.copy(photos / f"{person}.jpg", folder / person)
    return folder


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.stop()


def up(service: Service, samples: Path) -> "subprocess.Popen[bytes]":
    return service.start("facefleet.cli", "up", "--samples", str(samples))


def output(service: Service) -> str:
    return (service.folder / "facefleet.cli.log").read_text()


def stop(process: "subprocess.Popen[bytes]") -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=PATIENCE)


def test_it_is_ready_only_once_the_samples_are_enrolled_and_says_so(service: Service, samples: Path) -> None:
    up(service, samples)
    until(service.answers, say="alive")
    early = service.get("/readyz")
    assert early.status_code == 503
    assert "samples" in early.json()["failing"]
    service.await_ready()
    assert [p["id"] for p in service.get("/v1/people").json()["people"]] == ["biden", "obama"]
    until(lambda: f"facefleet is ready: {service.url}" in output(service), say="the welcome")


def test_a_service_with_keys_enrols_its_samples_too(service: Service, samples: Path) -> None:
    service.settings["FACEFLEET_API_KEYS"] = "look:recognise,care:enrol"
    up(service, samples)
    service.await_ready()
    people = service.get("/v1/people", headers={"x-api-key": "care"}).json()["people"]
    assert [p["id"] for p in people] == ["biden", "obama"]


def test_ctrl_c_leaves_nothing_running_and_the_data_is_kept(service: Service, samples: Path, photos: Path) -> None:
    process = up(service, samples)
    service.await_ready()
    assert service.workers()
    assert stop(process) == 0
    assert not service.workers()
    assert not service.answers()
    process = up(service, samples)
    service.await_ready()
    assert service.classic(photos / "obama2.jpg").text == "obama2:obama"
    assert output(service).count("enrolled as obama") == 1, "the second start found him enrolled"
    stop(process)


def test_uploads_in_hand_are_answered_before_ctrl_c_ends_it(service: Service, samples: Path, photos: Path) -> None:
    process = up(service, samples)
    service.await_ready()
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(service.classic, photos / "obama2.jpg", f"{i}.jpg") for i in range(8)]
        until(lambda: service.backend.requests.depth().backlog, say="uploads in hand")
        stop(process)
        answers = [s.result().text for s in sent if not isinstance(s.exception(), requests.ConnectionError)]
    assert answers
    assert all(answer.endswith(":obama") for answer in answers)
    assert not service.workers()


def test_ctrl_c_with_work_waiting_and_no_worker_yet_still_answers_it(service: Service, samples: Path) -> None:
    process = up(service, samples)
    until(lambda: service.backend.requests.depth().backlog, say="the first sample waits")
    assert stop(process) == 0
    assert "enrolled as biden" in output(service)


def test_closing_the_terminal_ends_it_too(service: Service, samples: Path) -> None:
    process = up(service, samples)
    service.await_ready()
    process.send_signal(signal.SIGHUP)
    process.wait(timeout=PATIENCE)
    assert not service.workers()
    assert not service.answers()


def test_a_second_one_refuses_and_names_the_port(service: Service, samples: Path) -> None:
    up(service, samples)
    until(service.answers, say="alive")
    second = service.cli("up")
    assert second.returncode != 0
    assert f"port {service.port}" in second.stderr


def test_a_second_one_on_another_port_refuses_the_same_data(service: Service, samples: Path) -> None:
    up(service, samples)
    until(service.answers, say="alive")
    other = Service(service.folder)
    second = other.cli("up")
    assert second.returncode != 0
    assert "running already" in second.stderr


def test_when_a_tier_dies_the_rest_ends_too_and_nothing_is_left(service: Service, samples: Path) -> None:
    process = up(service, samples)
    service.await_ready()
    os.kill(int((service.folder / "data/controller.lock").read_text()), signal.SIGKILL)
    assert process.wait(timeout=PATIENCE) != 0
    assert not service.workers()

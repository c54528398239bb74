"""facefleet on an instance that systemd boots: whatever happens to it, it comes back, and no job is lost."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from services import Service, until

from . import units
from .conftest import ENV, HOME, INSTANCE, UNITS, WORKERS, Place, await_active
from .nspawn import Machine

pytestmark = [
    pytest.mark.machine,
    pytest.mark.timeout(240),
    pytest.mark.parametrize("place", ["aws"], indirect=True, scope="module"),
]

LOAD = 30
SEARCH = """
import io, numpy
from facefleet.recognition import index
rows = numpy.random.default_rng(1).random((1000, 128), numpy.float32)
kept = io.BytesIO()
index.dump(index.build(rows, [rows]), kept.write)
kept.seek(0)
print(len(index.Quantised(index.restore(kept.read), lambda numbers: rows[numbers])))
"""


def another(photo: Path) -> bytes:
    """The same picture for every eye, in bytes that no cache has seen."""
    return photo.read_bytes() + uuid4().bytes


def submit(service: Service, photo: Path) -> str:
    """The id of a job that nobody waits for."""
    answer = service.post(
        "/v1/recognitions", data=another(photo), headers={"Content-Type": "image/jpeg", "Prefer": "respond-async"}
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def answer_of(service: Service, job: str) -> str | None:
    """None while it waits."""
    answer = service.get(f"/v1/recognitions/{job}")
    assert answer.status_code in (200, 202), answer.text
    return answer.json()["answer"] if answer.status_code == 200 else None


def journal(machine: Machine, *what: str) -> list[dict[str, str]]:
    lines = machine.run("journalctl", "--output=json", "--no-pager", *what).splitlines()
    return [json.loads(line) for line in lines]


def test_all_of_it_runs_once_it_is_installed(machine: Machine, service: Service) -> None:
    assert machine.run("systemctl", "is-system-running", check=False) == "running"
    assert all(machine.shows(unit, "ActiveState") == "active" for unit in (*UNITS, *WORKERS))
    assert machine.shows(WORKERS[0], "StatusText") != ""


def test_it_runs_as_nobody_in_particular_and_its_keys_are_not_for_everybody(machine: Machine, service: Service) -> None:
    for unit in (*UNITS[:2], *WORKERS):
        assert machine.run("stat", "--format=%U", f"/proc/{machine.shows(unit, 'MainPID')}") == "facefleet"
    assert machine.run("stat", "--format=%U %G %a", f"/{ENV}") == "root facefleet 640"
    assert machine.run("stat", "--format=%U %a", "/var/lib/facefleet") == "facefleet 700"


def test_it_answers_an_upload(machine: Machine, service: Service, photos: Path) -> None:
    assert service.classic(another(photos / "obama2.jpg"), "obama2.jpg").text == "obama2:obama"


def test_the_journal_finds_the_lines_of_a_job(machine: Machine, service: Service, photos: Path) -> None:
    job = submit(service, photos / "biden.jpg")
    until(lambda: answer_of(service, job))
    (done,) = until(lambda: journal(machine, f"JOB_ID={job}"))
    assert (done["PRIORITY"], done["LOGGER"], done["SYSLOG_IDENTIFIER"]) == (
        "6",
        "facefleet.recognition.jobs",
        "app_tier",
    )
    assert done["MESSAGE"].startswith(f"job {job}: done")


def test_a_large_gallery_is_searched_under_the_same_bans(machine: Machine, service: Service) -> None:
    """A worker loads that library only where it has many people to compare with."""
    bans = ("User", "MemoryDenyWriteExecute", "SystemCallFilter", "SystemCallErrorNumber", "PrivateDevices")
    unit = units.service("facefleet-worker@.service")
    properties = [f"--property={ban}={value}" for ban in bans for value in unit[ban]]
    command = ["systemd-run", "--quiet", "--wait", "--pipe", *properties, f"{HOME}/bin/python", "-c", SEARCH]
    assert machine.run(*command) == "1000"


def test_installed_again_it_keeps_its_settings_and_goes_on(machine: Machine, service: Service) -> None:
    before = (machine.disk / ENV).read_text(), machine.shows(WORKERS[0], "MainPID")
    machine.run("/srv/facefleet/systemd/install.sh")
    assert ((machine.disk / ENV).read_text(), machine.shows(WORKERS[0], "MainPID")) == before


def test_after_a_reboot_it_is_there_again(machine: Machine, service: Service, photos: Path) -> None:
    machine.reboot()
    await_active(machine)
    service.await_ready()
    assert machine.run("systemctl", "is-system-running", check=False) == "running"
    assert service.classic(another(photos / "obama2.jpg"), "obama2.jpg").text == "obama2:obama"


def test_each_process_goes_on_saying_that_it_lives(machine: Machine, service: Service) -> None:
    last = {unit: heard_of(machine, unit) for unit in (*UNITS[:2], *WORKERS)}
    for unit, before in last.items():
        until(lambda unit=unit, before=before: heard_of(machine, unit) > before, say=f"a sign of life of {unit}")


def heard_of(machine: Machine, unit: str) -> int:
    """When it said last that it lives, in microseconds."""
    return int(machine.shows(unit, "WatchdogTimestampMonotonic"))


def test_a_worker_that_hangs_is_replaced(machine: Machine, service: Service, photos: Path) -> None:
    """Stopped, it cannot say that it lives."""
    unit = WORKERS[0]
    hung, restarts = machine.shows(unit, "MainPID"), int(machine.shows(unit, "NRestarts"))
    machine.run("systemctl", "kill", "--signal=SIGSTOP", unit)
    until(lambda: int(machine.shows(unit, "NRestarts")) > restarts, seconds=90.0)
    until(lambda: machine.shows(unit, "ActiveState") == "active")
    assert machine.shows(unit, "MainPID") != hung
    said = [line["MESSAGE"] for line in journal(machine, f"--unit={unit}")]
    assert any("Watchdog timeout" in line for line in said)
    assert any("Failed with result 'watchdog'" in line for line in said)
    assert service.classic(another(photos / "obama2.jpg"), "obama2.jpg").text == "obama2:obama"


def test_a_worker_that_is_stopped_under_load_loses_nothing(machine: Machine, service: Service, photos: Path) -> None:
    with ThreadPoolExecutor(LOAD) as uploads:
        asked = [
            uploads.submit(service.classic, another(photos / "obama2.jpg"), f"test_{n:02}.jpg") for n in range(LOAD)
        ]
        until(lambda: any(one.done() for one in asked))
        machine.run("systemctl", "stop", WORKERS[0])
        assert machine.shows(WORKERS[0], "Result") == "success"
        answers = [one.result() for one in asked]
    machine.run("systemctl", "start", WORKERS[0])
    assert [answer.text for answer in answers] == [f"test_{n:02}:obama" for n in range(LOAD)]


@pytest.mark.parametrize("end", [Machine.power_off, Machine.crash])
def test_a_machine_that_goes_under_load_finishes_the_work_once_it_is_back(
    machine: Machine, service: Service, photos: Path, end: "type[Machine.power_off]"
) -> None:
    jobs = [submit(service, photos / "obama2.jpg") for _ in range(LOAD)]
    assert answer_of(service, jobs[-1]) is None, "this must meet work that waits"
    end(machine)
    assert not machine.is_up
    machine.boot()
    service.await_ready()
    answers = [until(lambda job=job: answer_of(service, job)) for job in jobs]
    assert answers == ["obama"] * LOAD


def test_wrong_settings_are_said_once_and_not_tried_again(machine: Machine, service: Service) -> None:
    env = machine.disk / ENV
    right = env.read_text()
    env.write_text(f"{right}FACEFLEET_NONSENSE=1\n")
    machine.run("systemctl", "restart", WORKERS[0], check=False)
    env.write_text(right)
    assert machine.shows(WORKERS[0], "ExecMainStatus") == "78"
    assert (machine.shows(WORKERS[0], "ActiveState"), machine.shows(WORKERS[0], "NRestarts")) == ("failed", "0")
    assert "unknown setting FACEFLEET_NONSENSE" in machine.run("systemctl", "status", WORKERS[0], check=False)
    machine.run("systemctl", "start", WORKERS[0])


def test_workers_of_an_instance_drain_once_it_is_to_be_taken_away(
    place: Place, machine: Machine, service: Service
) -> None:
    assert place.ec2 is not None
    assert {worker["id"] for worker in service.fleet()["workers"]} == {INSTANCE}
    place.ec2.told("/_notice", {"id": INSTANCE, "kind": "spot"})
    for unit in WORKERS:
        until(lambda unit=unit: machine.shows(unit, "ActiveState") == "inactive", say=f"{unit} drained")
        assert machine.shows(unit, "Result") == "success"

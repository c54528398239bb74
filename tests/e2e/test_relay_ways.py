"""The relay without a function, as processes over real sockets: by itself, and by a fleet's workers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from relayed import PATIENCE, Site, clip_from, site

from bench import emulators
from bench.local import awaited
from facefleet import answers
from facefleet.backends.aws.blobs import S3Blobs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OBAMA, BIDEN = "obama,law,senior\n", "biden,law,junior\n"


@pytest.fixture(scope="module")
def store() -> Iterator[emulators.Emulator]:
    with emulators.store() as emulator:
        yield emulator


@pytest.fixture
def open_site(store: emulators.Emulator, tmp_path: Path, photos: Path, models: Path) -> Iterator[Callable[..., Site]]:
    with ExitStack() as opened:
        yield lambda **settings: opened.enter_context(site(tmp_path, store.env, photos, models, **settings))


@pytest.fixture(scope="module")
def clips(photos: Path) -> dict[str, bytes]:
    return {"obama": clip_from(photos / "obama2.jpg"), "biden": clip_from(photos / "biden.jpg")}


def put_some(here: Site, clips: dict[str, bytes], count: int) -> dict[str, str]:
    """Clips in turns; returns the files that are to come home."""
    lines = [("obama", OBAMA), ("biden", BIDEN)]
    for number in range(count):
        here.put(f"test_{number}.mp4", clips[lines[number % 2][0]])
    return {f"test_{number}.txt": lines[number % 2][1] for number in range(count)}


def test_a_relay_recognises_by_itself_and_brings_home_what_it_is_told_of(
    open_site: Callable[..., Site], clips: dict[str, bytes], photos: Path
) -> None:
    here = open_site(RELAY_BY="itself")
    wanted = put_some(here, clips, 4)
    here.put("photo of obama.jpg", (photos / "obama.jpg").read_bytes())
    here.put("broken.mp4", b"no clip")
    here.relay()
    assert here.await_files(5) == {**wanted, "photo of obama.txt": OBAMA}
    here.await_all_acked()
    (letter,) = here.letters()
    assert letter["responsePayload"]["errorType"] == "not_a_video"
    assert letter["requestPayload"]["Records"][0]["s3"]["object"]["key"] == "broken.mp4"
    found = here.clients.s3.get_object(Bucket=here.settings.output_bucket, Key="test_0")
    assert found["Body"].read().decode() == OBAMA
    assert here.backlog(here.settings.response_queue) == 0


TELLS = """
import os, sys
def hook(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        where = args[1] if event != "socket.getaddrinfo" else args[:2]
        with open(os.environ["CALLS"], "a") as file:
            file.write(f"{os.getpid()} {where[0]}:{where[1]}\\n" if isinstance(where, tuple) else f"0 {where}\\n")
sys.addaudithook(hook)
"""


def test_by_itself_no_call_leaves_but_to_where_queues_blobs_and_people_are(
    open_site: Callable[..., Site], clips: dict[str, bytes], store: emulators.Emulator, tmp_path: Path
) -> None:
    here = open_site(RELAY_BY="itself")
    (tmp_path / "told").mkdir()
    (tmp_path / "told/sitecustomize.py").write_text(TELLS)
    calls = tmp_path / "calls"
    here.relay(PYTHONPATH=str(tmp_path / "told"), CALLS=str(calls))
    wanted = put_some(here, clips, 2)
    assert here.await_files(2) == wanted
    here.await_all_acked()
    told = [line.split(" ", 1) for line in calls.read_text().splitlines()]
    assert {where for _, where in told} == {store.url.removeprefix("http://")}
    assert len({process for process, _ in told}) >= 2, "whoever recognises is watched, too"


def test_a_relay_by_itself_that_is_killed_in_the_middle_loses_and_doubles_nothing(
    open_site: Callable[..., Site], clips: dict[str, bytes]
) -> None:
    here = open_site(RELAY_BY="itself", VISIBILITY_TIMEOUT="2")
    wanted = put_some(here, clips, 12)
    for brought in (2, 6):
        relay = here.relay()
        here.await_files(brought)
        here.kill(relay)
    here.relay()
    here.tell_again("test_3.mp4")
    assert here.await_files(12) == wanted
    here.await_all_acked()
    assert here.letters() == [] and here.files() == wanted


def test_what_recognises_ends_with_a_relay_that_is_killed(
    open_site: Callable[..., Site], clips: dict[str, bytes]
) -> None:
    here = open_site(RELAY_BY="itself")
    relay = here.relay()
    children = awaited(lambda: children_of(relay.pid), "they are started", seconds=PATIENCE)
    here.kill(relay)
    awaited(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "they end", seconds=PATIENCE)


def test_a_fleet_s_workers_recognise_what_the_relay_is_told_of(
    open_site: Callable[..., Site], clips: dict[str, bytes], photos: Path
) -> None:
    here = open_site(RELAY_BY="fleet", RELAY_CONCURRENCY="20")
    wanted = put_some(here, clips, 8)
    here.put("broken.mp4", b"no clip")
    here.relay()
    awaited(lambda: here.backlog(here.settings.request_queue) == 9, "jobs wait for workers", seconds=PATIENCE)
    here.start("app_tier", "--instance", "i-1")
    assert here.await_files(8) == wanted
    here.await_all_acked()
    assert [letter["responsePayload"]["errorType"] for letter in here.letters()] == ["not_a_video"]
    keys = [one["Key"] for one in here.clients.s3.list_objects_v2(Bucket=here.settings.input_bucket)["Contents"]]
    assert sorted(keys) == sorted(["broken.mp4", *(name.replace(".txt", ".mp4") for name in wanted)]), (
        "nothing is copied"
    )


def test_a_relay_by_fleet_that_is_killed_in_the_middle_finds_what_was_done_meanwhile(
    open_site: Callable[..., Site], clips: dict[str, bytes]
) -> None:
    here = open_site(RELAY_BY="fleet", VISIBILITY_TIMEOUT="2")
    wanted = put_some(here, clips, 8)
    relay = here.relay()
    awaited(lambda: here.backlog(here.settings.request_queue) == 8, "jobs wait for workers", seconds=PATIENCE)
    here.kill(relay)
    here.start("app_tier", "--instance", "i-1")
    awaited(lambda: not here.backlog(here.settings.request_queue), "all are done", seconds=PATIENCE)
    assert here.files() == {}
    second = here.relay()
    here.await_files(2)
    here.kill(second)
    here.tell_again("test_3.mp4")
    here.relay()
    assert here.await_files(8) == wanted
    here.await_all_acked()
    assert here.letters() == [] and here.files() == wanted
    log = here.log("app_tier")
    assert sum("done, 1 faces" in line for line in log.splitlines()) >= 8
    blobs = here.clients.s3.list_objects_v2(Bucket=here.settings.state_bucket, Prefix="results/")["Contents"]
    # One that came again was another event of the same object, in S3's own words.
    assert len(blobs) in (8, 9)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_answers_are_found_by_id_as_of_any_job(open_site: Callable[..., Site], clips: dict[str, bytes]) -> None:
    here = open_site(RELAY_BY="itself")
    here.put("uploads/" + "ab" * 16 + "/a.mp4", clips["obama"])
    here.relay()
    assert here.await_files(1) == {"a.txt": OBAMA}
    result = answers.stored(S3Blobs.of(here.settings, here.clients.s3), "ab" * 16)
    assert result is not None and result["answer"] == "obama"

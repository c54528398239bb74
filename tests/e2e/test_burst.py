"""From zero workers, a hundred uploads at once, each answered with its own answer."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from services import Service, until

from bench import uploads

pytestmark = pytest.mark.slow


def small(photo: Path) -> bytes:
    """The photo at a quarter of its size: the same answer for less of CI's time."""
    image = Image.open(photo).convert("RGB")
    image.thumbnail((image.width // 2, image.height // 2))
    out = BytesIO()
    image.save(out, "JPEG", quality=92)
    return out.getvalue()


@pytest.fixture(scope="module")
def probes(photos: Path, stranger: Path) -> list[tuple[bytes, str]]:
    """Images, and who is on them."""
    return [
        (small(photos / "obama2.jpg"), "obama"),
        (small(photos / "biden.jpg"), "biden"),
        (small(stranger), "unknown"),
        (small(photos / "obama3.jpg"), "obama"),
    ]


def enrolled(service: Service, photos: Path) -> Service:
    for person in ("obama", "biden"):
        assert service.enrol(person, photos / f"{person}.jpg").status_code == 201
    until(service.is_idle, say="back to zero after enrolling")
    return service


def upload(url: str, name: str, image: bytes) -> requests.Response:
    """A new connection, no content type, no client time-out to speak of: the course's load generator."""
    return requests.post(url, files={"inputFile": (name, image)}, timeout=300)


def burst(urls: list[str], probes: list[tuple[bytes, str]], count: int = 100) -> list[tuple[str, requests.Response]]:
    """So many uploads from as many threads: (answer expected, answer) of each."""

    def one(i: int) -> tuple[str, requests.Response]:
        image, person = probes[i % len(probes)]
        return f"test_{i:02}:{person}", upload(urls[i % len(urls)], f"test_{i:02}.jpg", image)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def watch_peak(service: Service, work: Callable[[], Any]) -> tuple[Any, int]:
    """What `work` returns, and the most instances seen meanwhile."""
    peak = 0
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        while not running.done():
            peak = max(peak, sum(service.fleet()["instances"].values()))
        return running.result(), peak


@pytest.mark.parametrize("processes", ["1", "4"])
def test_a_hundred_uploads_from_zero_get_each_its_own_answer(
    start_service: Callable[..., Service], photos: Path, probes: list[tuple[bytes, str]], processes: str
) -> None:
    service = enrolled(
        start_service(CACHE_BYTES="0", WEB_PROCESSES=processes, SCALE_IN_AFTER="2", MAX_INSTANCES="2"), photos
    )
    answers, peak = watch_peak(service, lambda: burst([service.url], probes))
    assert [(a.status_code, a.text) for _, a in answers] == [(200, expected) for expected, _ in answers]
    assert peak == 2
    until(service.is_idle, say="fleet and queues back at zero")
    assert not service.workers()


def test_work_that_comes_to_an_empty_queue_does_not_wait_for_the_next_tick(
    start_service: Callable[..., Service],
) -> None:
    service = start_service(TICK="20")
    started = time.monotonic()
    assert upload(service.url, "test_00.jpg", nobody()).text == "test_00:unknown"
    assert time.monotonic() - started < 15


def test_two_web_tiers_never_swallow_each_others_answers(
    start_service: Callable[..., Service], photos: Path, probes: list[tuple[bytes, str]]
) -> None:
    service = enrolled(start_service(CACHE_BYTES="0", SCALE_IN_AFTER="2"), photos)
    other = Service(service.folder, settings=service.settings)
    service.processes.append(other.start("web_tier"))
    until(lambda: other.answers("/readyz"), say="the other web tier")
    answers = burst([service.url, other.url], probes)
    assert [(a.status_code, a.text) for _, a in answers] == [(200, expected) for expected, _ in answers]


def test_two_images_of_one_name_at_once_get_each_their_own_answer(
    service: Service, probes: list[tuple[bytes, str]]
) -> None:
    with ThreadPoolExecutor(20) as pool:
        sent = [probes[i % 3] for i in range(20)]
        answers = list(pool.map(lambda probe: upload(service.url, "same.jpg", probe[0]).text, sent))
    assert answers == [f"same:{person}" for _, person in sent]


@pytest.fixture
def many_files() -> Iterator[None]:
    """A thousand connections need more files than many systems allow a process at first."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_files")
def test_health_is_answered_while_a_thousand_uploads_wait(tmp_path: Path) -> None:
    service = Service(tmp_path, settings={"FACEFLEET_SCALE_IN_AFTER": "2"})
    try:
        service.start("web_tier")
        until(service.answers, say="the web tier")
        with ThreadPoolExecutor(1000) as pool:
            sent = [pool.submit(upload, service.url, f"test_{i}.jpg", nobody()) for i in range(1000)]
            until(lambda: service.backend.requests.depth().backlog == 1000, say="a thousand wait")
            assert service.get("/healthz").ok
            one_more = upload(service.url, "one_more.jpg", nobody())
            assert (one_more.status_code, bool(one_more.headers.get("Retry-After"))) == (503, True)
            service.start("controller")
            assert [s.result().text for s in sent] == [f"test_{i}:unknown" for i in range(1000)]
    finally:
        service.stop()


def nobody() -> bytes:
    """A small image without a face: quickly answered."""
    out = BytesIO()
    Image.new("RGB", (40, 40), "teal").save(out, "JPEG")
    return out.getvalue()


def test_past_the_bound_on_the_backlog_clients_are_asked_to_come_back(
    start_service: Callable[..., Service], photos: Path
) -> None:
    service = start_service(CACHE_BYTES="0", MAX_BACKLOG="3", MAX_INSTANCES="1")
    image = small(photos / "obama2.jpg")
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda i: upload(f"{service.url}/", f"{i}.jpg", image), range(30)))
    refused = [a for a in answers if a.status_code == 503]
    assert refused
    assert all(int(a.headers["Retry-After"]) > 0 for a in refused)
    assert all(a.status_code in (200, 503) for a in answers)


def test_a_client_that_never_ends_its_header_is_let_go(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: local")
        assert client.recv(1000) == b""
    assert "Traceback" not in (service.folder / "web_tier.log").read_text()


def test_the_bench_tells_wrong_answers_from_lost_ones(service: Service, probes: list[tuple[bytes, str]]) -> None:
    image, person = probes[0]
    sending = uploads.bursts([(image, person), (image, "somebody else"), (b"no image", person)], 6)
    found = uploads.send(service.url.removeprefix("http://"), next(sending))
    assert (found.wrong, found.lost) == (2, 2)


def test_no_cache_knows_an_image_of_the_bench(service: Service, probes: list[tuple[bytes, str]]) -> None:
    sending = uploads.bursts([probes[2]], 2)
    sent = [*next(sending), *next(sending)]
    known = [service.post("/", data=one.body, headers=uploads.HEADERS).headers.get("Cache-Status") for one in sent * 2]
    assert known == [None] * 4 + ["facefleet; hit"] * 4

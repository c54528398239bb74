"""What is asked of a service, at once or by and by: of a fleet and of a function alike."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from standin import KEY, Asked, Entrance, Said, StandIn, json_said, of_clip, problem, result

from pi_uploader import errands
from pi_uploader.answers import Outcome
from pi_uploader.door import Away, Door
from pi_uploader.errands import LAST_LOOK, LOOK_FOR, looks
from pi_uploader.service import Service
from pi_uploader.settings import Settings
from pi_uploader.spool import Item

CLIP = Item(7, 1_763_784_000.0, "ab" * 16, "clip-7", "mp4")
PHOTO = Item(8, 1_763_784_000.0, "cd" * 16, "frame-8", "jpg")
DATA = b"\0\0\0\x18ftypisom" + b"x" * 50_000


def service(standin: StandIn, *, presigned: bool = False) -> Service:
    return Service(Door(Settings(url=standin.url, api_key=KEY)), presigned=presigned)


def methods(standin: StandIn) -> list[str]:
    return [f"{asked.method} {asked.path.partition('?')[0]}" for asked in standin.asked]


def never(_seconds: float) -> bool:
    raise AssertionError("an answer that is there is not waited for")


def at_once(_seconds: float) -> bool:
    return False


def test_a_clip_goes_as_the_body_to_where_clips_go_and_says_when_somebody_was_seen() -> None:
    with StandIn(of_clip("Mary", at=0.3)) as standin:
        answer = service(standin).ask(CLIP, DATA, never)
    (asked,) = standin.asked
    assert asked.path == "/v1/videos?filename=pi-20251122T040000-abababab.mp4"
    assert (asked.body, asked.headers["Content-Type"], asked.headers["Idempotency-Key"]) == (
        DATA,
        "video/mp4",
        CLIP.key,
    )
    assert (answer.outcome, answer.people, answer.at) == (Outcome.KNOWN, ("Mary",), 0.3)


def test_a_clip_without_a_face_is_unknown_from_its_beginning() -> None:
    with StandIn(of_clip()) as standin:
        answer = service(standin).ask(CLIP, DATA)
    assert (answer.outcome, answer.words, answer.at) == (Outcome.UNKNOWN, "unknown (no face)", 0.0)


@pytest.mark.parametrize(("item", "place"), [(CLIP, "videos"), (PHOTO, "recognitions")])
def test_an_answer_that_takes_longer_is_looked_for_where_the_service_says(item: Item, place: str) -> None:
    pauses: list[float] = []
    with StandIn(Entrance(looks=4)) as standin:
        answer = service(standin).ask(item, DATA, lambda seconds: pauses.append(seconds))
    assert answer.people == ("Mary",)
    assert methods(standin) == [f"POST /v1/{place}", *[f"GET /v1/{place}/{item.key}"] * 4]
    assert len(pauses) == 4 and pauses == sorted(pauses)


def test_looks_come_soon_at_first_and_have_an_end() -> None:
    pauses = list(looks())
    assert pauses[0] == 0.1 and max(pauses) == LAST_LOOK
    assert LOOK_FOR <= sum(pauses) < LOOK_FOR + LAST_LOOK


def test_one_that_takes_too_long_goes_back_and_is_not_sent_again_but_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errands, "LOOK_FOR", 0.2)
    with StandIn(Entrance(looks=5)) as standin:
        asking = service(standin)
        with pytest.raises(Away, match="not done yet") as caught:
            asking.ask(CLIP, DATA, at_once)
        monkeypatch.setattr(errands, "LOOK_FOR", 60.0)
        answer = asking.ask(CLIP, DATA, at_once)
    assert (answer.people, caught.value.of_one) == (("Mary",), True)
    assert sum(asked.method == "POST" for asked in standin.asked) == 1


def test_the_key_goes_to_no_place_but_the_services_own_whatever_it_says() -> None:
    elsewhere = f"https://elsewhere.test/v1/videos/{CLIP.key}"
    with StandIn(json_said(202, {}, Location=elsewhere), of_clip("Mary")) as standin:
        assert service(standin).ask(CLIP, DATA, at_once).people == ("Mary",)
    assert methods(standin) == ["POST /v1/videos", f"GET /v1/videos/{CLIP.key}"]


@pytest.mark.parametrize("headers", [{}, {"Location": "/login"}, {"Location": "/v1/people/paul"}])
def test_a_202_that_names_no_result_is_no_answer(headers: dict[str, str]) -> None:
    with StandIn(json_said(202, {}, **headers)) as standin, pytest.raises(Away):
        service(standin).ask(CLIP, DATA, at_once)


def test_a_result_that_nobody_knows_of_any_more_is_asked_for_anew() -> None:
    entrance = Entrance(looks=2)
    with StandIn(entrance) as standin:
        asking = service(standin)

        def forget_once(_seconds: float) -> bool:
            entrance.forget()
            return False

        with pytest.raises(Away):
            asking.ask(CLIP, DATA, forget_once)
        assert asking.ask(CLIP, DATA, at_once).people == ("Mary",)
    assert methods(standin).count("POST /v1/videos") == 2


def failed(code: str) -> Callable[[bytes], Said]:
    body = {"id": "f" * 32, "answer": "unknown", "faces": [], "error": {"code": code, "detail": "send\nanother"}}
    return lambda _: json_said(200, body)


def test_a_result_that_failed_is_a_refusal_as_it_is_at_once() -> None:
    with StandIn(Entrance(answer=failed("damaged_video"))) as standin:
        answer = service(standin).ask(CLIP, DATA, at_once)
    assert (answer.outcome, answer.code, answer.words) == (Outcome.REFUSED, "damaged_video", "send another")


def test_a_file_that_the_service_has_lost_is_sent_again() -> None:
    with StandIn(Entrance(answer=failed("image_gone"))) as standin:
        asking = service(standin, presigned=True)
        for _ in range(2):
            with pytest.raises(Away):
                asking.ask(CLIP, DATA, at_once)
    assert sum(asked.method == "PUT" for asked in standin.asked) == 2


def test_a_wait_ends_with_the_program() -> None:
    with StandIn(Entrance(looks=100)) as standin, pytest.raises(Away, match="not done yet"):
        service(standin).ask(CLIP, DATA, lambda _: True)


def test_how_far_captures_have_got_is_kept_of_so_many_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pi_uploader.service.MAX_ERRANDS", 2)
    with StandIn(problem(503, "busy")) as standin:
        asking = service(standin, presigned=True)
        for number in range(5):
            with pytest.raises(Away):
                asking.ask(Item(number, 1e9, f"{number:032x}", "photo", "jpg"), DATA)
        assert len(asking._errands) == 2
    with StandIn(result("Mary")) as standin:
        asking = service(standin)
        asking.ask(PHOTO, DATA)
        assert asking._errands == {}


def test_the_looks_themselves_count_for_how_long_is_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "LOOK_FOR", 0.3)
    queued = json_said(202, {}, Location=f"/v1/videos/{CLIP.key}")

    def slowly(_: Asked) -> Said:
        time.sleep(0.35)
        return queued

    with StandIn(queued, slowly) as standin, pytest.raises(Away, match="not done yet"):
        service(standin).ask(CLIP, DATA, at_once)
    assert methods(standin).count(f"GET /v1/videos/{CLIP.key}") == 1


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1.0, 1e300])
def test_a_time_that_no_clip_has_is_no_answer(at: float) -> None:
    with StandIn(of_clip("Mary", at=at)) as standin, pytest.raises(Away):
        service(standin).ask(CLIP, DATA)


def test_names_hold_nothing_that_a_terminal_would_obey() -> None:
    with StandIn(of_clip("\x1b[2JMary\nclip 9: Bob")) as standin:
        answer = service(standin).ask(CLIP, DATA)
    assert answer.people == (" [2JMary clip 9: Bob",) and answer.words.isprintable()


class Slow(dict[str, errands.Errand]):
    """Lets other threads go on wherever it could."""

    def __iter__(self) -> Iterator[str]:
        found = super().__iter__()
        time.sleep(0.001)
        return found

    def pop(self, *args: Any) -> Any:
        gone = super().pop(*args)
        time.sleep(0.001)
        return gone


def test_captures_of_many_threads_get_on_each_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pi_uploader.service.MAX_ERRANDS", 1)
    asking = Service(Door(Settings()))
    asking._errands = Slow()

    def many(thread: int) -> list[str]:
        return [asking._errand(f"{thread}-{number}").place for number in range(50)]

    with ThreadPoolExecutor(4) as threads:
        assert [len(places) for places in threads.map(many, range(4))] == [50] * 4
    assert len(asking._errands) == 1


def test_one_that_is_too_large_for_what_stands_before_the_service_is_told_the_other_way() -> None:
    too_large = json_said(413, {"message": "Request Entity Too Large"})
    with StandIn(too_large) as standin, pytest.raises(Away, match="set upload to presigned") as caught:
        service(standin).ask(CLIP, DATA)
    assert caught.value.of_one

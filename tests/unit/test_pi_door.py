"""What the Pi client makes of each answer: a capture is given up for what is surely the service's own word, only."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from standin import KEY, Said, StandIn, json_said, problem, result

from pi_uploader.answers import Answer, Outcome
from pi_uploader.door import Away, Door
from pi_uploader.service import Service, add_person
from pi_uploader.settings import BadSettings, Settings
from pi_uploader.spool import Item

ITEM = Item(42, 1_763_784_000.123, "ab" * 16, "photo", "jpg")
ENROL = Item(43, 1_763_784_000.123, "cd" * 16, "enrol-mary", "jpg")
IMAGE = b"\xff\xd8\xff" + b"x" * 1000
#: What the service refuses about an image, and what it refuses about a photo to enrol.
REFUSALS = [(400, "empty_file"), (413, "body_too_large"), (415, "not_an_image"), (422, "damaged_image")]
PASSING = [(400, "malformed_request"), (422, "image_gone"), (409, "still_queued")]
OTHERS = [401, 403, 404, 408, 410, 425, 429, 500, 502, 503, 504]


def asking(standin: StandIn | str, item: Item = ITEM) -> Answer:
    url = standin if isinstance(standin, str) else standin.url
    return Service(Door(Settings(url=url, api_key=KEY))).ask(item, IMAGE)


def away(said: Said, item: Item = ITEM) -> Away:
    with StandIn(said) as standin, pytest.raises(Away) as caught:
        asking(standin, item)
    return caught.value


def test_a_capture_goes_as_the_body_under_its_key_and_the_answer_comes_back() -> None:
    with StandIn(result("Mary", None)) as standin:
        answer = asking(standin)
    (asked,) = standin.asked
    assert (asked.method, asked.body) == ("POST", IMAGE)
    assert asked.path == "/v1/recognitions?filename=pi-20251122T040000-abababab.jpg"
    assert asked.headers["Content-Length"] == str(len(IMAGE))
    sent = {name: asked.headers.get(name) for name in ("Content-Type", "Idempotency-Key", "x-api-key")}
    assert sent == {"Content-Type": "image/jpeg", "Idempotency-Key": ITEM.key, "x-api-key": KEY}
    assert (answer.outcome, answer.people, answer.job_id) == (Outcome.KNOWN, ("Mary", "unknown"), "f" * 32)
    assert answer.words == "Mary (similarity 0.97), unknown"
    assert 0 < answer.round_trip < 10


@pytest.mark.parametrize(("people", "words"), [((None,), "unknown"), ((), "unknown (no face)")])
def test_nobody_known_and_nobody_there_are_unknown(people: tuple[None, ...], words: str) -> None:
    with StandIn(result(*people)) as standin:
        answer = asking(standin)
    assert (answer.outcome, answer.words) == (Outcome.UNKNOWN, words)


def test_one_connection_carries_many_captures() -> None:
    with StandIn(result("Mary")) as standin:
        door = Door(Settings(url=standin.url))
        for _ in range(5):
            Service(door).ask(ITEM, IMAGE)
    assert (len(standin.asked), standin.connections) == (5, 1)


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_what_the_service_says_of_this_image_ends_it(status: int, code: str) -> None:
    with StandIn(problem(status, code, "send another")) as standin:
        answer = asking(standin)
    assert (answer.outcome, answer.words, answer.code) == (Outcome.REFUSED, "send another", code)


@pytest.mark.parametrize(("status", "code"), [*PASSING, *((status, "some_code") for status in OTHERS)])
def test_a_problem_that_may_pass_keeps_the_capture(status: int, code: str) -> None:
    assert away(problem(status, code)).retry_after is None


@pytest.mark.parametrize("status", [200, 201, 202, 204, 302, 307, *(s for s, _ in REFUSALS), 409, *OTHERS])
@pytest.mark.parametrize("item", [ITEM, ENROL])
def test_no_other_service_ever_has_a_capture_deleted(status: int, item: Item) -> None:
    for body in (
        b"",
        b"<html>413",
        b"[]",
        b"1",
        b"{}",
        b'{"code": 400, "detail": "x"}',
        b'{"code": "bad", "type": "x"}',
    ):
        away(Said(status, b"" if status == 204 else body), item)


@pytest.mark.parametrize(
    "body",
    [{"id": "1", "answer": "mary"}, {"id": "1", "answer": None, "faces": []}, {"id": 1, "answer": "x", "faces": [1]}],
)
def test_json_that_is_no_result_keeps_the_capture(body: object) -> None:
    assert "is another service there" in str(away(json_said(200, body)))


def test_a_photo_is_enrolled_once_the_service_shows_it() -> None:
    with StandIn(json_said(201, {"photo": {"id": "f" * 32}})) as standin:
        assert asking(standin, ENROL).outcome is Outcome.ENROLLED
    assert standin.asked[0].path.startswith("/v1/people/mary/photos?filename=pi-")


@pytest.mark.parametrize("code", ["duplicate_photo", "nearer_to_another"])
def test_a_photo_of_another_ends_when_it_is_to_be_enrolled_and_a_person_there_is_no_error(code: str) -> None:
    with StandIn(problem(409, code)) as standin:
        assert asking(standin, ENROL).code == code
    with StandIn(problem(409, "person_exists"), json_said(201, {"id": "mary"}), json_said(201, {})) as standin:
        door = Door(Settings(url=standin.url))
        assert [add_person(door, "mary", "Mary") for _ in range(2)] == [False, True]
        with pytest.raises(Away):
            add_person(door, "mary", "Mary")
    with StandIn(problem(409, "conflict")) as standin, pytest.raises(Away):
        asking(standin, ENROL)


def test_photos_of_a_person_who_was_erased_meanwhile_are_given_up_and_stop_no_others() -> None:
    with StandIn(problem(404, "not_found")) as standin:
        assert asking(standin, ENROL).code == "not_found"
    assert away(Said(404, b"<html>"), ENROL).retry_after is None


def test_a_photo_that_no_worker_has_looked_at_yet_is_asked_for_again() -> None:
    caught = away(json_said(202, {"id": "f" * 32, "status": "queued"}, **{"Retry-After": "1"}), ENROL)
    assert caught.retry_after == 1.0
    assert "not done yet" in str(caught)


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), ("0", 0.0), ("999999999", 21_600.0), ("soon", None), ("-5", None), ("", None)]
)
def test_a_pause_is_as_long_as_the_service_asks_within_reason(value: str, seconds: float | None) -> None:
    for said in (problem(429, "rate", Retry_After=value), Said(503, b"<html>", {"Retry-After": value})):
        assert away(said).retry_after == seconds


def test_a_pause_until_a_time_of_day_is_one_of_seconds() -> None:
    def until(seconds: float) -> str:
        return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)

    assert 55 < (away(problem(503, "queue_full", Retry_After=until(60))).retry_after or 0) <= 60
    assert away(problem(503, "queue_full", Retry_After=until(-60))).retry_after == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_neither_key_nor_photo_follow_to_another_place(status: int) -> None:
    with StandIn(result("Mary")) as elsewhere, StandIn(Said(status, headers={"Location": elsewhere.url})) as standin:
        with pytest.raises(Away, match="or a login page"):
            asking(standin)
        assert elsewhere.asked == []


def test_a_wrong_key_says_what_to_correct() -> None:
    assert "does not take our key (this key lacks the scope): correct api_key" in str(
        away(problem(403, "scope_missing", "this key lacks the scope"))
    )


def test_words_of_another_service_stay_a_line_and_do_nothing_to_a_terminal() -> None:
    words = str(away(problem(500, "internal_error", "\x1b[2J\r\n" + "x" * 100_000)))
    assert words.isprintable() and len(words) < 500


def test_only_what_may_be_of_one_image_lets_others_go_first() -> None:
    assert [away(Said(status)).of_one for status in (413, 422, 500, 404, 429, 503)] == [True] * 3 + [False] * 3


def test_an_authority_that_is_no_file_of_certificates_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(BadSettings, match=f"{name} cannot be used .*: name a file of certificates in PEM"):
            Door(Settings(ca_file=str(tmp_path / name)))


def test_a_login_in_the_url_goes_to_the_service_and_into_no_words() -> None:
    with StandIn(problem(503, "unavailable")) as standin:
        door = Door(Settings(url=standin.url.replace("//", "//pi:secret@")))
        with pytest.raises(Away) as caught:
            Service(door).ask(ITEM, IMAGE)
    assert standin.asked[0].headers["Authorization"] == "Basic cGk6c2VjcmV0"
    assert (door.url, "secret" in str(caught.value)) == (standin.url, False)


def test_a_service_may_be_at_a_path_of_its_host() -> None:
    with StandIn(result("Mary")) as standin:
        Service(Door(Settings(url=f"{standin.url}/face"))).ask(ITEM, IMAGE)
    assert standin.asked[0].path.startswith("/face/v1/recognitions?")

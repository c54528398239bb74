"""What a person tells the service on the page: this is not them, and enrol it anyway."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import ANSWERED, PHONE, choose, expect, tab_to
from services import Service

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BLURRED = {
    "type": "urn:facefleet:problem:face_too_blurred",
    "title": "Unprocessable Entity",
    "status": 422,
    "code": "face_too_blurred",
    "detail": "the face is blurred: send a sharper photo",
}


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """What the console complained of, but for the refusals that the browser itself writes there."""
    errors: list[str] = []
    yield errors
    assert [error for error in errors if "status of 4" not in error] == []


@pytest.fixture
def named(page: Any, service: Service, photos: Path) -> Iterator[Any]:
    """The card of a photo with obama on it, who has no rejections when the test ends."""
    yield choose(page, photos / "obama2.jpg")
    for rejection in service.get("/v1/people/obama").json()["rejections"]:
        page.request.delete(f"{service.url}/v1/people/obama/rejections/{rejection['id']}")


def rejections(service: Service) -> int:
    return len(service.get("/v1/people/obama").json()["rejections"])


def test_a_wrong_name_is_rejected_and_that_is_undone(named: Any, page: Any, service: Service, photos: Path) -> None:
    named.get_by_role("button", name="Not this person").click()
    expect(named.locator(".rejecter")).to_have_text(re.compile(r"^rejected · ?undo"))
    expect(named.locator("[data-rejected]")).to_have_count(2)
    assert rejections(service) == 1
    expect(choose(page, photos / "obama2.jpg").locator(".face .name")).to_have_text("unknown")
    first = page.locator(".card").last
    first.get_by_role("button", name="undo").click()
    expect(first.locator(".rejecter")).to_have_text(re.compile("^Not this person"))
    expect(first.locator("[data-rejected]")).to_have_count(0)
    assert rejections(service) == 0


def test_rejecting_and_undoing_go_by_keyboard_and_keep_the_focus(named: Any, page: Any) -> None:
    tab_to(page, ".rejecter button")
    page.keyboard.press("Enter")
    expect(named.locator(".rejecter button:focus")).to_have_text(re.compile("^undo"))
    page.keyboard.press("Enter")
    expect(named.locator(".rejecter button:focus")).to_have_text(re.compile("^Not this person"))


def test_a_rejection_that_fails_says_why_and_may_be_tried_again(named: Any, page: Any) -> None:
    full = {"status": 409, "code": "too_many_rejections", "detail": "obama has 100 rejections"}
    page.route("**/rejections", lambda route: route.fulfill(status=409, json=full))
    named.get_by_role("button", name="Not this person").click()
    expect(named.locator(".rejecter .error")).to_have_text("obama has 100 rejections")
    page.unroute("**/rejections")
    named.get_by_role("button", name="Not this person").click()
    expect(named.locator(".rejecter")).to_contain_text("rejected")


def test_an_unknown_face_has_no_name_to_reject(page: Any, stranger: Path) -> None:
    expect(choose(page, stranger).locator(".rejecter")).to_have_count(0)


def refuse(page: Any, *, forcible: bool) -> list[str]:
    """Has every photo refused that is not forced; the addresses that photos were sent to."""
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url.rpartition("/")[2])
        if "force" in route.request.url:
            return route.fulfill(status=201, json={"photo": {}})
        return route.fulfill(status=422, json=BLURRED | ({"forcible": True} if forcible else {}))

    page.route("**/v1/people", lambda route: route.fulfill(status=201, json={}))
    page.route("**/v1/people/*/photos*", answer)
    return asked


def test_a_refusal_that_may_be_overruled_offers_to_enrol_anyway(page: Any, stranger: Path) -> None:
    asked = refuse(page, forcible=True)
    card = choose(page, stranger)
    card.get_by_label("Who is this?").fill("Ada")
    anyway = card.get_by_role("button", name="Enrol anyway")
    expect(anyway).to_be_hidden()
    card.get_by_role("button", name="Enrol", exact=True).click()
    expect(card.locator(".enrol .error")).to_have_text(BLURRED["detail"])
    card.get_by_label("Who is this?").fill("Ada L.")
    expect(anyway).to_be_hidden()
    page.keyboard.press("Enter")
    expect(anyway).to_be_visible()
    with page.expect_response(re.compile("/v1/recognitions"), timeout=ANSWERED):
        anyway.click()
    assert asked == ["photos", "photos", "photos?force=true"]
    expect(page.locator(".card[data-state=done]")).to_have_count(1, timeout=ANSWERED)


def test_a_refusal_that_nothing_helps_offers_nothing(page: Any, stranger: Path) -> None:
    refuse(page, forcible=False)
    card = choose(page, stranger)
    card.get_by_label("Who is this?").fill("Ada")
    page.keyboard.press("Enter")
    expect(card.locator(".enrol .error")).to_be_visible()
    expect(card.get_by_role("button", name="Enrol anyway")).to_be_hidden()


def test_all_of_it_fits_a_phone(named: Any, page: Any, stranger: Path) -> None:
    page.set_viewport_size(PHONE)
    refuse(page, forcible=True)
    card = choose(page, stranger)
    card.get_by_label("Who is this?").fill("Ada")
    page.keyboard.press("Enter")
    expect(card.get_by_role("button", name="Enrol anyway")).to_be_visible()
    page.locator(".card").last.get_by_role("button", name="Not this person").click()
    expect(page.locator(".rejecter")).to_contain_text("rejected")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

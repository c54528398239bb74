"""A clip on the page: who is in it and when, with the frame that shows it, where the browser can show one."""

import re
from pathlib import Path
from typing import Any

import pytest
from pages import ANSWERED, PHONE, choose, expect
from PIL import Image
from services import Service

from tests.unit.clips import clip_of, sound_alone

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def scenes(photos: Path, stranger: Path) -> list[Image.Image]:
    """Obama, then somebody unknown, then Biden, in pictures of one size."""
    pictures = [Image.open(path).convert("RGB") for path in (photos / "obama2.jpg", stranger, photos / "biden.jpg")]
    return [padded(picture, colour) for picture, colour in zip(pictures, ("red", "lime", "blue"), strict=True)]


def padded(picture: Image.Image, colour: str) -> Image.Image:
    """With a strip of this colour at its foot."""
    whole = Image.new("RGB", (640, 640), colour)
    picture.thumbnail((640, 600))
    whole.paste(picture)
    return whole


def strip_of(card: Any) -> str:
    """The colour of the frame that the card shows."""
    pixel = card.locator(".frame img").evaluate(
        """(image) => {
            const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 640 });
            canvas.getContext("2d").drawImage(image, 0, 0);
            return [...canvas.getContext("2d").getImageData(320, 630, 1, 1).data].slice(0, 3);
        }"""
    )
    return ("red", "lime", "blue")[pixel.index(max(pixel))]


def a_file(name: str, clip: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "", "buffer": clip}


@pytest.fixture(scope="module")
def clip(scenes: list[Image.Image]) -> bytes:
    return clip_of(*((picture, 1.0) for picture in scenes))


def rows(card: Any) -> list[str]:
    return [re.sub(r"\s+", " ", text) for text in card.locator(".appearances tbody tr").all_inner_texts()]


def test_a_clip_tells_who_appears_and_when(page: Any, clip: bytes) -> None:
    card = choose(page, a_file("lesson.mp4", clip))
    words = "3 people: Obama, Biden, 1 unknown. 30 frames of 3.0 s looked at."
    expect(card.locator(".status")).to_contain_text(words)
    told = rows(card)
    assert [row.split()[0] for row in told] == ["Obama", "unknown", "Biden"]
    assert "0.0 s – 0.9 s, 10 frames" in told[0] and "2.0 s – 2.9 s" in told[2]


def test_the_frame_that_answers_is_shown_with_its_faces_and_any_other_on_demand(page: Any, clip: bytes) -> None:
    card = choose(page, a_file("lesson.mp4", clip))
    expect(card.locator(".box[data-state=known] .tag")).to_have_text("1Obama")
    assert strip_of(card) == "red"
    show = card.get_by_role("button", name=re.compile("Show Biden"))
    show.click()
    expect(card.locator(".box .tag")).to_have_text("Biden")
    expect(show).to_have_attribute("aria-pressed", "true")
    assert strip_of(card) == "blue"
    show.click()
    expect(card.locator(".box .tag")).to_have_text("1Obama")
    assert strip_of(card) == "red"


def test_a_stranger_is_enrolled_from_a_clip(page: Any, service: Service, scenes: list[Image.Image]) -> None:
    card = choose(page, a_file("guest.mp4", clip_of((scenes[1], 0.5))))
    card.get_by_label("Who is this?").fill("Guest of a clip")
    card.get_by_role("button", name="Enrol", exact=True).click()
    try:
        expect(card.locator(".face .name")).to_have_text("Guest of a clip", timeout=ANSWERED)
        expect(card.locator(".appearances .name")).to_have_text("Guest of a clip")
    finally:
        service.cli("people", "erase", "Guest_of_a_clip", "--yes")


def test_a_clip_that_no_browser_shows_is_answered_in_words(page: Any, scenes: list[Image.Image]) -> None:
    card = choose(page, a_file("camera.h264", clip_of((scenes[0], 0.5), kind="h264")))
    expect(card.locator(".frame")).to_have_count(0)
    expect(card.locator(".face .name")).to_have_text("Obama")
    assert len(rows(card)) == 1 and card.get_by_role("button", name=re.compile("^Show")).count() == 0


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        (b"no clip at all", "not a clip that we read"),
        (b"\0\0\0\x18ftypmp42" + bytes(99), "damaged"),
        # Which the browser plays.
        (sound_alone(), "no picture"),
    ],
    ids=["no clip", "damaged", "sound alone"],
)
def test_a_clip_that_will_not_do_gets_clear_words(page: Any, errors: list[str], clip: bytes, words: str) -> None:
    page.get_by_label("Choose a photo").set_input_files([a_file("x.mp4", clip)])
    expect(page.locator(".card[data-state=failed] .status")).to_contain_text(words, timeout=ANSWERED)
    # The browser itself writes every 4xx to the console.
    errors[:] = [error for error in errors if not re.search(r"\b4\d\d\b", error)]


def test_a_clip_fits_a_phone(page: Any, clip: bytes) -> None:
    page.set_viewport_size(PHONE)
    choose(page, a_file("lesson.mp4", clip))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

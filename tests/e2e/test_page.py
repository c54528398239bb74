"""The page at `/`, in a real browser, against a real service."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pages import ANSWERED, PHONE, choose, expect, tab_to
from PIL import ExifTags, Image

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def drop(page: Any, photo: Path) -> None:
    """Drops a photo on the drop zone, as from a file manager."""
    transfer = page.evaluate_handle(
        """([name, bytes]) => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([Uint8Array.from(bytes)], name, { type: "image/jpeg" }));
            return dropped;
        }""",
        [photo.name, list(photo.read_bytes())],
    )
    page.locator("label.drop").dispatch_event("drop", {"dataTransfer": transfer})


def stands_inside(inner: dict[str, float], outer: dict[str, float]) -> bool:
    sides = (("x", "width"), ("y", "height"))
    return all(outer[at] <= inner[at] < inner[at] + inner[size] <= outer[at] + outer[size] for at, size in sides)


def test_a_chosen_photo_shows_the_name_in_a_box_inside_the_photo(page: Any, photos: Path) -> None:
    card = choose(page, photos / "obama2.jpg")
    box = card.locator(".box[data-state=known]")
    expect(box).to_have_text(re.compile("obama", re.IGNORECASE))
    expect(card.locator(".face .name").first).to_have_text(re.compile("^obama$", re.IGNORECASE))
    expect(card.locator(".candidates tbody tr").first).to_contain_text(re.compile("obama", re.IGNORECASE))
    assert stands_inside(box.bounding_box(), card.locator(".frame img").bounding_box())


def lying(photo: Path) -> bytes:
    """The photo as a phone held upright writes it: lying on its side, with a note which way is up."""
    lies, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    with Image.open(photo) as upright:
        upright.rotate(90, expand=True).save(lies, "JPEG", exif=exif)
    return lies.getvalue()


def place(card: Any, width: int, height: int) -> list[float]:
    """Where the card shows the box, in pixels of an upright photo of this size."""
    box, photo = card.locator(".box").first.bounding_box(), card.locator(".frame img").bounding_box()
    x, y = width / photo["width"], height / photo["height"]
    left, top = (box["x"] - photo["x"]) * x, (box["y"] - photo["y"]) * y
    return [left, top, left + box["width"] * x, top + box["height"] * y]


@pytest.mark.parametrize("read", [Path.read_bytes, lying], ids=["upright", "lying"])
def test_a_box_stands_where_the_service_found_the_face_at_any_width(
    page: Any, photos: Path, read: Callable[[Path], bytes]
) -> None:
    photo = photos / "biden.jpg"
    with page.expect_response(lambda r: "/v1/recognitions" in r.url and r.status == 200, timeout=ANSWERED) as answer:
        card = choose(page, {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": read(photo)})
    found = answer.value.json()["faces"][0]["box"]
    expected = [found[edge] for edge in ("x_min", "y_min", "x_max", "y_max")]
    with Image.open(photo) as upright:
        width, height = upright.size
    assert place(card, width, height) == pytest.approx(expected, abs=0.01 * width)
    page.set_viewport_size(PHONE)
    assert place(card, width, height) == pytest.approx(expected, abs=0.01 * width)


def test_a_dropped_photo_is_recognised(page: Any, photos: Path) -> None:
    drop(page, photos / "obama2.jpg")
    expect(page.locator(".card .name").first).to_have_text(re.compile("obama", re.IGNORECASE), timeout=ANSWERED)


def test_several_photos_become_a_card_each_with_the_newest_first(page: Any, photos: Path) -> None:
    choose(page, photos / "obama.jpg", photos / "biden.jpg")
    expect(page.locator(".card h3")).to_have_text(["biden.jpg", "obama.jpg"])


def test_an_unknown_face_is_enrolled_from_the_page_and_then_named(page: Any, stranger: Path) -> None:
    card = choose(page, stranger)
    face = card.locator(".face[data-state=unknown]").first
    expect(face.locator(".badge")).to_have_text("? unknown")
    name = f"Ada {uuid4().hex[:8]}"
    face.get_by_label("Who is this?").fill(name)
    expect(face.locator(".enrol .hint")).to_contain_text(name.replace(" ", "_"))
    face.get_by_role("button", name="Enrol").click()
    expect(card.locator(".face[data-state=known] .name")).to_have_text(name, timeout=ANSWERED)
    expect(card.locator(".box[data-state=known]")).to_contain_text(name)
    erase(page, name)


def erase(page: Any, name: str) -> None:
    """Takes back what a test enrolled: the stranger is to be one for the next test as well."""
    person_id = name.replace(" ", "_")
    page.evaluate("(id) => fetch(`v1/people/${id}`, { method: 'DELETE' }).then((answer) => answer.text())", person_id)


def test_the_whole_flow_goes_by_keyboard_alone(page: Any, stranger: Path) -> None:
    with page.expect_file_chooser() as chooser:
        # Inside, because the browser needs a round trip before it hands its file dialog to us.
        tab_to(page, "#file-input")
        page.keyboard.press("Enter")
    chooser.value.set_files(stranger)
    expect(page.locator(".card[data-state=done]")).to_have_count(1, timeout=ANSWERED)
    tab_to(page, ".enrol input")
    page.keyboard.type(name := f"Ada {uuid4().hex[:8]}")
    page.keyboard.press("Enter")
    expect(page.locator(".card .name")).to_have_text(name, timeout=ANSWERED)
    expect(page.locator(".card h3")).to_be_focused()
    tab_to(page, ".candidates summary")
    erase(page, name)
    tab_to(page, ".card button.quiet", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".card")).to_have_count(0)


def test_a_phone_of_360_pixels_scrolls_in_one_direction_only(page: Any, photos: Path, stranger: Path) -> None:
    page.set_viewport_size(PHONE)
    choose(page, photos / "biden.jpg", stranger)
    choose(page, {"name": "x" * 200 + ".png", "mimeType": "image/png", "buffer": stranger.read_bytes()})
    expect(page.locator("#fleet-live")).to_have_text("Live")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_numbers_of_the_fleet_appear_and_its_charts_move(page: Any) -> None:
    for number in ("visible", "in_flight", "dead", "running", "pending", "draining", "desired", "max"):
        expect(page.locator(f"[data-fleet={number}]")).to_have_text(re.compile(r"^\d+$"))
    for line in ("#queue-chart .area-visible", "#fleet-chart .line-max"):
        drawn = page.locator(line).get_attribute("d")
        expect(page.locator(line)).not_to_have_attribute("d", drawn)


def test_a_service_that_falls_silent_is_said_to_and_found_again(page: Any) -> None:
    expect(page.locator("#fleet-live")).to_have_text("Live")
    page.route("**/v1/fleet", lambda route: route.fulfill(status=200, body="not JSON"))
    expect(page.locator("#fleet-live")).to_have_text("Service does not answer")
    page.unroute("**/v1/fleet")
    expect(page.locator("#fleet-live")).to_have_text("Live", timeout=15_000)


def test_a_photo_is_taken_with_the_webcam_which_is_then_off(page: Any) -> None:
    page.get_by_role("button", name="Use the webcam").click()
    page.get_by_role("button", name="Take photo").click()
    expect(page.locator(".card h3")).to_have_text(re.compile(r"^webcam .*\.jpg$"))
    expect(page.locator(".card[data-state=done]")).to_have_count(1, timeout=ANSWERED)
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate("document.querySelector('video').srcObject") is None


@pytest.mark.parametrize(
    "file, words",
    [
        (("notes.txt", "text/plain", b"words"), "“notes.txt” is not an image. Choose a JPEG, PNG or WebP photo, or"),
        (("broken.jpg", "image/jpeg", b"no photo at all"), "“broken.jpg” is damaged"),
        (("huge.jpg", "image/jpeg", bytes(20 * 1024 * 1024 + 1)), "20 MB is the limit"),
    ],
)
def test_a_file_that_cannot_be_sent_gets_clear_words(page: Any, file: tuple[str, str, bytes], words: str) -> None:
    page.get_by_label("Choose a photo").set_input_files(dict(zip(("name", "mimeType", "buffer"), file, strict=True)))
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.locator(".card")).to_have_count(0)


def test_a_file_name_that_is_html_is_shown_as_text(page: Any, stranger: Path) -> None:
    name = "<img src=x onerror=alert(1)>.png"
    card = choose(page, {"name": name, "mimeType": "image/png", "buffer": stranger.read_bytes()})
    expect(card.locator("h3")).to_have_text(name)
    expect(page.locator("img[src=x]")).to_have_count(0)


def test_a_refused_call_asks_for_the_key_and_goes_on_with_it(page: Any, errors: list[str]) -> None:
    asked: list[str | None] = []

    def door(route: Any) -> None:
        key = route.request.headers.get("x-api-key")
        asked.append(key)
        route.continue_() if key == "sesame" else route.fulfill(status=401, json={"code": "unauthorized"})

    page.route("**/v1/**", door)
    page.get_by_label("Key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-why")).to_contain_text("did not accept that key")
    page.get_by_label("Key").fill("sesame")
    page.keyboard.press("Enter")
    expect(page.locator("#fleet-live")).to_have_text("Live")
    assert {None, "wrong", "sesame"} <= set(asked)
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    # The browser itself writes every 401 to the console.
    errors[:] = [error for error in errors if "401" not in error]


def test_the_fleet_is_told_with_how_long_the_oldest_waits_who_is_stopping_and_what_it_cost(page: Any) -> None:
    instances = {"pending": 0, "running": 1, "draining": 2, "stopping": 3, "stopped": 0}
    told = {"queue": {"visible": 5, "in_flight": 1, "dead": 0}, "instances": instances, "desired": 1, "max": 9}
    told |= {"reason": "because", "workers": [], "policy": "priced", "epoch": 1, "oldest": 3.21, "cost": 0.5}
    page.route("**/v1/fleet", lambda route: route.fulfill(json=told))
    expect(page.locator("[data-fleet=oldest]")).to_have_text("3.21 s")
    expect(page.locator("[data-fleet=stopping]")).to_have_text("3")
    expect(page.locator("#fleet-policy")).to_have_text("Policy priced, cost so far 0.5000")
    page.unroute("**/v1/fleet")
    page.route("**/v1/fleet", lambda route: route.fulfill(json=told | {"oldest": None, "cost": 0}))
    expect(page.locator("[data-fleet=oldest]")).to_have_text("–")
    expect(page.locator("#fleet-policy")).to_have_text("Policy priced")

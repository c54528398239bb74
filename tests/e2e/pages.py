"""The page at `/` in Debian's Chromium, for tests that look at it as a person does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

playwright_api = pytest.importorskip("playwright.sync_api", reason="no playwright here: see requirements-dev.txt")
expect = playwright_api.expect

# Chromium refuses its sandbox to root; the fake camera shows a rolling pattern and is allowed without asking.
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-component-update", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
#: A worker may have to wake for the first photo of all.
ANSWERED = 60_000
PHONE = {"width": 360, "height": 740}


@contextmanager
def browsing(chromium: str) -> Iterator[Any]:
    with (
        playwright_api.sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=FLAGS) as browser,
    ):
        yield browser


@contextmanager
def page_at(browser: Any, url: str, errors: list[str]) -> Iterator[Any]:
    """The service's page in a fresh profile; what the console complains of goes to `errors`."""
    with browser.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        yield page


def choose(page: Any, *files: Path | dict[str, Any]) -> Any:
    """Chooses photos; the newest card, once it is answered."""
    before = page.locator(".card").count()
    page.get_by_label("Choose a photo").set_input_files(list(files))
    expect(page.locator(".card[data-state=done]")).to_have_count(before + len(files), timeout=ANSWERED)
    return page.locator(".card").first


def tab_to(page: Any, selector: str, *, key: str = "Tab") -> None:
    for _ in range(30):
        page.keyboard.press(key)
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"no way to {selector} by {key}")

"""What the tests of the playground do and see again and again."""

import io
import json

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page

from tests.patience import ANSWER


def write(page: Page, field: str, text: str) -> None:
    """Types a prompt in place of the one that stands there."""
    page.locator(field).fill(text)


def words(page: Page) -> list[tuple[str, str]]:
    """The words of the first edit as they are marked: each with its state."""
    chips = page.locator(".card.target").first.locator(".word")
    return [(chip.locator(".text").inner_text(), chip.get_attribute("data-state")) for chip in chips.all()]


def run(page: Page, *, steps: int | None = None) -> None:
    """Runs what stands in the fields, to its end."""
    start(page, steps=steps)
    finished(page)


def start(page: Page, *, steps: int | None = None) -> None:
    """Sends what stands in the fields."""
    if steps is not None:
        page.get_by_role("spinbutton", name="Steps").fill(str(steps))
    # By the keyboard: the button moves when the marks of the words come, and a click that is under way then misses it.
    page.get_by_role("button", name="Run", exact=True).press("Enter")


def finished(page: Page) -> None:
    """Waits until the pictures of what was sent are there."""
    page.locator("#gallery:not(.coming) .edit .w").first.wait_for()
    page.get_by_role("button", name="Run", exact=True).wait_for()


def body(page: Page) -> dict:
    """The request that the page shows, as it would be sent."""
    page.get_by_role("radiogroup", name="Language").get_by_text("curl").click()
    return json.loads(page.locator("#snippet").inner_text().split("-d '", 1)[1].removesuffix("'").replace("'\\''", "'"))


def pixels(place: Locator) -> np.ndarray:
    """What is seen at a place: (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB")).astype(int)


def file_of(place: Locator) -> bytes:
    """The file behind an <img>."""
    return httpx.get(place.get_attribute("src"), timeout=ANSWER).raise_for_status().content


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of two pictures, in levels of 256."""
    return float(np.abs(one - other).mean())


def edit_of(page: Page) -> str:
    """The address of the edit that is shown."""
    return f"/v1/edits/{page.evaluate('location.hash.slice(1)')}"

"""The playground in a real browser, before the real service: Redis, the API, a worker of the built-in model.

Where no Chromium is, these tests are skipped by name; `.ci/run` installs one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from stack.services import Stack, stack
from tests.patience import ANSWER, PATIENCE
from tools.screenshots import browser_program

PROGRAM = browser_program()
#: Steps of a run whose picture matters only in that it is one.
STEPS = 4
SWAP = {
    "source": {"prompt": "a cat on a beach"},
    "targets": [
        {"prompt": "a dog on a beach", "edits": [{"kind": "replace"}], "local_blend": {"words": [{"word": "dog"}]}}
    ],
    "sampling": {"seed": 4, "steps": STEPS},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none."""
    if PROGRAM is None:
        for item in items:
            if "tests/browser/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason="no Chromium: apt install chromium"))


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Stack]:
    """The whole service, with one worker of the built-in model."""
    with stack(tmp_path_factory.mktemp("browsed"), {"scenes": 1}, settings={"OMP_NUM_THREADS": "1"}) as started:
        yield started


@pytest.fixture
def api(served: Stack) -> Iterator[httpx.Client]:
    """A client of the served API, to see behind the page."""
    with httpx.Client(base_url=served.url, timeout=ANSWER) as client:
        yield client


@pytest.fixture(scope="session")
def swapped(served: Stack) -> dict:
    """An edit that has succeeded: a cat became a dog."""
    with httpx.Client(base_url=served.url, timeout=ANSWER) as client:
        address = client.post("/v1/edits", json=SWAP).headers["Location"]
        while (job := client.get(address, params={"wait": 60}).json())["status"] in {"queued", "running"}:
            pass
    assert job["status"] == "succeeded", job
    return job


# No longer than a module: while Playwright runs, its thread has an event loop, and other tests start their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield started
        started.close()


@dataclass
class Watched:
    """What a page complained of, and what of that a test expects."""

    said: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        """Note every error that is written to the console or thrown, and every request that failed."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(f"thrown: {error}"))
        page.on("requestfailed", self._failed)

    def unexpected(self) -> list[str]:
        """What nobody expected."""
        return [text for text in self.said if not any(part in text for part in self.expected)]

    def _console(self, message) -> None:
        if message.type in {"error", "warning"}:
            self.said.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _failed(self, request) -> None:
        # Given up by the page itself: what it asked of the aligner when one types on, a picture that another replaces.
        if request.failure != "net::ERR_ABORTED":
            self.said.append(f"failed: {request.method} {request.url}: {request.failure}")


@pytest.fixture
def watched() -> Watched:
    """What the pages of this test complain of; anything that is not expected fails it."""
    return Watched()


@pytest.fixture
def context(browser: Browser, watched: Watched) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts whose pages are watched; without motion, so that nothing is half faded in."""
    opened: list[BrowserContext] = []

    def new(**how: object) -> BrowserContext:
        wide = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
        made = browser.new_context(**wide | how)
        made.set_default_timeout(1000 * PATIENCE)
        made.on("page", watched.follow)
        opened.append(made)
        return made

    yield new
    for each in opened:
        each.close()
    assert watched.unexpected() == []


@pytest.fixture
def show(served: Stack, context) -> Callable[..., Page]:
    """Opens the playground, on an edit where one is given, and waits until its words are marked."""

    def opened(job: dict | None = None, *, url: str = served.url, **how: object) -> Page:
        page = context(**how).new_page()
        page.goto(f"{url}/#{job['id']}" if job else f"{url}/")
        page.locator("#composer .word").first.wait_for()
        if job:
            page.locator(".edit .w").first.wait_for()
            for picture in page.locator(".shot .main").all():
                picture.evaluate("image => image.decode()")
        return page

    return opened


@pytest.fixture
def page(show) -> Page:
    """The playground as it opens."""
    return show()

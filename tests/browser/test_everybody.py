"""The page without a mouse, without sight, without colours, on a phone, and behind a key."""

import re
from collections.abc import Iterator

import pytest
import redis
from axe_playwright_python.base import AXE_SCRIPT

from service.api_keys import KeyRing
from stack.services import Stack, stack
from tests.browser.conftest import STEPS
from tests.browser.pages import body, finished, pixels, start, write

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
#: Whether what has the focus is outlined, or what stands beside it, where that is shown in its place.
SHOWN = """() => {
  const { activeElement: own } = document;
  return [own, own.nextElementSibling, own.previousElementSibling].some(
    (each) => each && getComputedStyle(each).outlineStyle === "solid",
  );
}"""
SIZES = {"desktop": {}, "phone": PHONE}


def grave(page) -> list[str]:
    """What axe finds that keeps people out: of serious and of critical impact."""
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_keeps_anybody_out(show, swapped, watched, theme, size):
    watched.expected.append("422")
    how = {"color_scheme": theme, **SIZES[size]}
    page = show(**how)
    assert grave(page) == []

    page.get_by_text("Fine control").click()
    page.locator("#composer").get_by_role("button", name="dog").click()
    page.get_by_role("slider", name="Weight of dog").press("ArrowRight")
    page.get_by_label("Only here may the picture change").check()
    page.get_by_role("spinbutton", name="Steps").fill("500")
    start(page)
    page.locator("#composer .error").wait_for()
    assert grave(page) == []

    page = show(swapped, **how)
    page.locator(".edit").get_by_role("button", name="dog").focus()
    page.locator(".edit .heat.on").wait_for()
    assert grave(page) == []
    page.get_by_role("button", name="API key").click()
    assert grave(page) == []


@pytest.mark.parametrize("width", [320, 360, 768, 1100])
def test_nothing_is_wider_than_the_window(show, swapped, watched, width):
    watched.expected.append("422")  # the long prompt has too many tokens, which the page asks about while one types
    page = show(swapped, viewport={"width": width, "height": 740})

    assert page.evaluate("document.documentElement.scrollWidth") == width
    write(page, "#target-1", "a " + "very" * 60 + " dog")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_on_a_phone_a_word_is_tapped_to_see_its_map_and_again_to_see_the_picture(show, swapped):
    page = show(swapped, **PHONE)
    word = page.locator(".edit").get_by_role("button", name="dog")

    word.tap()
    page.locator(".edit .heat.on").wait_for()
    assert word.get_attribute("aria-pressed") == "true"
    word.tap()

    page.locator(".edit .heat:not(.on)").wait_for()


def test_everything_is_done_with_the_keyboard_alone(page):
    _tab_to(page, "source-prompt")
    page.keyboard.press("Control+a")
    page.keyboard.type("a frog on the grass")
    _tab_to(page, "target-1")
    page.keyboard.press("Control+a")
    page.keyboard.type("a robot on the grass")
    page.locator(".word.changed").get_by_text("robot").wait_for()
    _tab_to(page, "robot")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")  # the weight's slider has the focus
    page.keyboard.press("Escape")
    assert _focused(page).startswith("robot")
    _tab_to(page, "s-steps")
    page.keyboard.press("Control+a")
    page.keyboard.type(str(STEPS))
    _tab_to(page, "run")
    page.keyboard.press("Enter")
    finished(page)

    weights = [{"word": "robot", "weight": 1.1}]
    assert body(page)["targets"][0] == {"prompt": "a robot on the grass", "weights": weights}
    page.locator("#theme").focus()
    plain = pixels(page.locator(".edit .pic"))
    _tab_to(page, "robot")
    page.locator(".edit .heat.on").wait_for()
    assert abs(pixels(page.locator(".edit .pic")) - plain).max() > 0


def _focused(page) -> str:
    """What has the focus: its id, else its text."""
    return page.evaluate("document.activeElement.id || document.activeElement.textContent")


def _tab_to(page, name: str) -> None:
    """Tabs until something has the focus; each thing on the way shows that it has it."""
    passed = []
    for _ in range(60):
        page.keyboard.press("Tab")
        passed.append(_focused(page))
        assert page.evaluate(SHOWN), f"{passed[-1]} has the focus, and nothing shows it"
        if passed[-1].startswith(name):
            return
    raise AssertionError(f"{name} is not reached by Tab: {passed}")


def test_what_happens_is_said_to_whoever_does_not_see_it(page):
    page.evaluate("""() => {
      window.said = [];
      new MutationObserver(() => said.push(document.querySelector("#say").textContent))
        .observe(document.querySelector("#say"), { childList: true });
    }""")

    start(page, steps=12)
    finished(page)
    page.get_by_text("Done: the source and its edit are shown.").wait_for()

    said = page.evaluate("said")
    assert said[0] == "Accepted. Waiting for a worker."
    assert said[-1] == "Done: the source and its edit are shown."
    assert page.locator("#say").get_attribute("aria-live") == "polite"


@pytest.fixture(scope="module")
def locked(tmp_path_factory) -> Iterator[tuple[Stack, str]]:
    """A service that wants a key, and one; nobody works off what it takes."""
    with stack(tmp_path_factory.mktemp("locked"), {}) as started:
        with redis.Redis.from_url(started.redis_url, decode_responses=True) as client:
            _, token = KeyRing(client).create("page")
        yield started, token


def test_where_a_key_is_needed_it_is_asked_for_and_kept_out_of_everything(locked, context, watched):
    watched.expected.append("401")
    service, token = locked
    page = context().new_page()
    addresses = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(service.url)
    page.get_by_text("This installation wants an API key").wait_for()

    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_label("Key", exact=True).fill("p2p_none_wrong")
    page.get_by_role("button", name="Use this key").click()
    page.get_by_text("This installation does not know that key.").wait_for()
    page.get_by_label("Key", exact=True).fill(token)
    page.get_by_role("button", name="Use this key").click()

    page.get_by_text("Next in the queue").wait_for()
    page.locator(".word.changed").wait_for()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_text("Canceled. Nothing of it is kept.").wait_for()
    page.locator("#history").get_by_text("canceled").wait_for()
    assert not any(token in address for address in addresses)
    assert token not in page.content()
    assert '-H "Authorization: Bearer $P2P_API_KEY"' in page.locator("#snippet").inner_text()
    assert page.evaluate("[{...sessionStorage}, {...localStorage}, document.cookie]") == [{}, {}, ""]
    assert re.fullmatch(r".*/#[\w-]+", page.url)

    page.reload()
    page.get_by_text("This installation wants an API key").wait_for()

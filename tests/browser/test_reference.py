"""The reference at /docs in a real browser: it works under its own policy, and asks nobody but its own server."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from stack.services import Stack


@pytest.fixture
def reference(served: Stack, context) -> Page:
    """The reference as it opens; complaints of its policy fail the test, as those of every watched page."""
    page = context().new_page()
    page.goto(f"{served.url}/docs")
    page.get_by_role("heading", name="Prompt-to-prompt image editing").wait_for()
    return page


def test_an_operation_is_tried_from_the_reference(served, context):
    page, asked = context().new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{served.url}/docs")
    page.locator(".opblock-summary-path", has_text="/v1/models").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table .response-col_status", has_text="200").wait_for()

    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {urlsplit(served.url).netloc}
    assert f"{served.url}/v1/models" in asked


def test_a_key_is_typed_in_and_gone_with_the_page(reference):
    reference.get_by_role("button", name="Authorize").first.click()
    reference.get_by_label("auth-bearer-value").fill("p2p_a_key")
    reference.locator(".auth-btn-wrapper").get_by_role("button", name="Apply credentials").click()
    reference.get_by_role("button", name="Remove authorization").wait_for()

    assert reference.evaluate("[Object.values(sessionStorage), Object.values(localStorage)]") == [[], []]
    assert "p2p_a_key" not in reference.evaluate("document.cookie")


def test_a_script_that_is_not_the_one_whose_hash_the_page_names_does_not_run(served, context, watched):
    watched.expected += ["integrity", "SwaggerUIBundle"]
    page = context().new_page()
    changed = {"content_type": "text/javascript", "body": "window.taken = true"}
    page.route("**/docs/swagger-ui-bundle.js", lambda route: route.fulfill(**changed))
    page.goto(f"{served.url}/docs", wait_until="load")

    assert page.evaluate("window.taken") is None


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_no_page_is_shown_in_a_frame_of_another_one(served, context, watched, path):
    watched.expected += ["frame-ancestors", "ERR_BLOCKED_BY_RESPONSE", "chrome-error"]
    page = context().new_page()
    # Of the page's own origin: a browser may have other reasons not to show it in a foreign one.
    outer = {"content_type": "text/html", "body": f'<iframe src="{served.url}{path}"></iframe>'}
    page.route(f"{served.url}/outer", lambda route: route.fulfill(**outer))
    page.goto(f"{served.url}/outer")

    assert page.frames[1].url == "chrome-error://chromewebdata/"
    assert any("frame-ancestors" in line for line in watched.said)

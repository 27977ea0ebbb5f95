"""The whole service below a path, behind a proxy that takes it off: its clients, and the page in a real browser."""

from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest

from p2p_client import Client
from stack.ports import free_port
from stack.services import stack
from tests.browser.conftest import SWAP
from tests.browser.pages import run
from tests.proxy import stripping

PREFIX = "/edits-api"


@pytest.fixture(scope="module")
def below(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """The service with a worker of the built-in model: where the proxy shows it, and where it is itself."""
    port = free_port()
    with (
        stripping(PREFIX, port) as public,
        stack(
            tmp_path_factory.mktemp("below"),
            {"scenes": 1},
            port=port,
            settings={"PUBLIC_URL": public, "OMP_NUM_THREADS": "1"},
        ) as started,
    ):
        yield SimpleNamespace(public=public, direct=started.url)


def test_the_python_client_works_through_the_proxy(below, tmp_path):
    with Client(below.public) as client:
        edit = client.submit(SWAP)
        names = [event.name for event in client.events(edit)]
        files = client.download(client.wait(edit), tmp_path, kinds={"image"})

    assert (names[0], names[-1]) == ("queued", "succeeded")
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files)


@pytest.mark.parametrize("where", ["public", "direct"])
def test_links_lead_on_from_where_they_were_given(below, where):
    base = getattr(below, where)
    accepted = httpx.post(f"{base}/v1/edits", json=SWAP, headers={"Prefer": "wait=60"}, timeout=90)
    edit = accepted.json()
    addresses = [accepted.headers["Location"], edit["links"]["self"], edit["links"]["events"], "livez", "openapi.json"]

    for address in addresses:
        url = httpx.URL(f"{base}/").join(address)
        assert httpx.head(url).status_code == 200, url
    assert all(artifact["url"].startswith(f"{below.public}/v1/artifacts/") for artifact in edit["artifacts"])
    assert httpx.get(edit["artifacts"][0]["url"]).status_code == 200


@pytest.mark.parametrize("where", ["public", "direct"])
def test_the_reference_reads_its_files_and_its_description_below_the_path(below, context, where):
    page, asked = context().new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{getattr(below, where)}/docs")
    page.get_by_role("heading", name="Prompt-to-prompt image editing").wait_for()

    assert f"{getattr(below, where)}/openapi.json" in asked
    assert [url for url in asked if not url.startswith((getattr(below, where), "data:"))] == []
    assert httpx.get(f"{below.public}/openapi.json").json()["servers"] == [{"url": below.public}]


@pytest.mark.parametrize("where", ["public", "direct"])
def test_the_page_makes_an_edit(below, show, where):
    page = show(url=getattr(below, where))
    run(page, steps=2)

    assert page.locator("#history button").first.get_attribute("data-id")
    for picture in page.locator(".shot .main").all():
        assert picture.get_attribute("src").startswith(f"{below.public}/v1/artifacts/")
        picture.evaluate("image => image.decode()")
    assert (
        f"{getattr(below, where)}/v1/edits".replace(below.direct, f"{below.direct}{PREFIX}")
        in page.locator("#snippet").inner_text()
    )


def test_the_page_is_there_without_a_slash_at_the_end(below, context):
    page = context().new_page()
    page.goto(below.public)
    page.locator("#composer .word").first.wait_for()


def test_the_page_shows_a_seed_that_was_drawn_and_keeps_it_on_a_click(below, show):
    page = show(url=below.public)
    page.get_by_role("button", name="Draw a seed for each run").click()
    assert '"seed"' not in page.locator("#snippet").inner_text()
    run(page, steps=2)
    edit = httpx.get(f"{below.public}/v1/edits/{page.evaluate('location.hash.slice(1)')}").json()
    page.locator("#facts").get_by_text(f"seed {edit['seed']}").wait_for()

    page.get_by_role("button", name="Keep this seed").click()

    assert page.get_by_role("spinbutton", name="Seed").input_value() == str(edit["seed"])
    assert f'"seed": {edit["seed"]}' in page.locator("#snippet").inner_text()
    run(page)
    again = httpx.get(f"{below.public}/v1/edits/{page.evaluate('location.hash.slice(1)')}").json()
    assert (again["id"] != edit["id"], again["seed"]) == (True, edit["seed"])

"""What a page of somebody else's does with a browser to the API on this machine: nothing."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from stack.services import stack
from tests.browser.conftest import PROGRAM
from tests.patience import PATIENCE

#: All that a page can send without asking first, and a form.
PAGE = """<!doctype html><meta charset="utf-8"><title>A page</title><iframe name="answer"></iframe>
<form method="post" enctype="multipart/form-data" target="answer"><input type="file" name="image"></form>
<script>
async function attack(api) {
  const file = new File([new Uint8Array(10)], "a.png", { type: "image/png" });
  const form = new FormData();
  form.append("image", file);
  const body = JSON.stringify({ source: { prompt: "a cat" }, targets: [] });
  const send = (path, body) => fetch(api + path, { method: "POST", mode: "no-cors", body });
  await send("/v1/edits", body);
  await send("/v1/edits", new Blob([body], { type: "text/plain" }));
  await send("/v1/images", form);
  await send("/v1/edits/mine/cancel");
  await send("/v1/batches/mine/cancel", new URLSearchParams({ a: "b" }));
  await new Promise((done) => {
    document.querySelector("iframe").onload = done;
    const form = document.querySelector("form");
    form.action = api + "/v1/images";
    const list = new DataTransfer();
    list.items.add(file);
    form.elements.image.files = list.files;
    form.submit();
  });
  return 6;
}
const read = (api) => fetch(api + "/v1/edits").then((answer) => answer.text());
</script>
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser to which two foreign names lead to this machine."""
    with sync_playwright() as playwright:
        rules = "--host-resolver-rules=MAP rebound.example 127.0.0.1, MAP localhost.example 127.0.0.1"
        started = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox", rules])
        yield started
        started.close()


@contextmanager
def page_at(folder) -> Iterator[int]:
    """Serves the page, for as long as the block runs."""
    (folder / "index.html").write_text(PAGE)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def local(tmp_path_factory, tiny_models) -> Iterator[SimpleNamespace]:
    """An API without keys, as `make serve` starts it, that lets one page call it; and the port of foreign pages."""
    with page_at(tmp_path_factory.mktemp("page")) as port:
        settings = {"CORS_ORIGINS": f"http://127.0.0.1:{port}"}
        with stack(tmp_path_factory.mktemp("local"), {}, models_file=tiny_models, settings=settings) as started:
            yield SimpleNamespace(url=started.url, port=started.url.rpartition(":")[2], pages=port)


@pytest.fixture
def show(browser):
    """Opens an address."""
    opened = []

    def visit(url: str) -> SimpleNamespace:
        page = browser.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        opened.append(page)
        return SimpleNamespace(page=page, answer=page.goto(url))

    yield visit
    for page in opened:
        page.close()


def refused(local: SimpleNamespace) -> float:
    """How many requests the API has refused for the origin of their page."""
    text = httpx.get(f"{local.url}/metrics").text
    return sum(map(float, re.findall(r'^p2p_http_problems_total{code="origin_not_allowed".*} (\S+)$', text, re.M)))


@pytest.mark.parametrize("host", ["localhost", "rebound.example"])
def test_a_foreign_page_sends_nothing_that_is_taken(local, show, host):
    foreign, before = show(f"http://{host}:{local.pages}/").page, refused(local)

    sent = foreign.evaluate(f"attack('{local.url}')")

    assert refused(local) == before + sent
    assert httpx.get(f"{local.url}/v1/edits").json()["edits"] == []
    assert httpx.get(f"{local.url}/v1/images").json()["images"] == []


def test_a_page_that_cors_names_is_let_in(local, show):
    """The same page, at the address that the setting names: its requests are read, and wrong for other reasons."""
    known, before = show(f"http://127.0.0.1:{local.pages}/").page, refused(local)

    known.evaluate(f"attack('{local.url}')")

    assert refused(local) == before
    assert "edits" in known.evaluate(f"read('{local.url}')")


@pytest.mark.parametrize("name", ["rebound.example", "localhost.example"])
def test_a_name_that_leads_here_shows_nothing(local, show, name):
    """DNS rebinding: to the browser the service is of the page's own origin."""
    for path in ("/", "/v1/edits", "/docs", "/metrics"):
        assert show(f"http://{name}:{local.port}{path}").answer.status == 421
    rebound = show(f"http://{name}:{local.port}/").page
    assert "host_not_allowed" in rebound.evaluate("fetch('/v1/edits').then((answer) => answer.text())")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_the_services_own_page_is_there_under_every_name_of_this_machine(local, show, name):
    shown = show(f"http://{name}:{local.port}/")

    assert shown.answer.status == 200
    shown.page.locator("#composer .word").first.wait_for()
    status = shown.page.evaluate("fetch('/v1/edits/mine/cancel', { method: 'POST' }).then((answer) => answer.status)")
    assert status == 404  # there is none, which only who is let in is told

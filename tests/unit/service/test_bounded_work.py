"""No request keeps the API's event loop busy: what Python does for it is counted, in bytecodes.

The count does not depend on the machine or on what else it does; `benchmarks.hostile` measures the same in time. Both
send the same corpus.
"""

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from benchmarks.hostile.corpus import LARGEST, Request, corpus
from layers.computing import SMALL
from p2p import words
from p2p.spec import EditSpec
from service.edits import submit
from service.http import bodies

#: Bytecodes in the event loop's thread for one request, however large: some milliseconds.
IN_LOOP = 500_000
#: What is not read by this service itself: Starlette takes a form of 1,000 parts, and cookies of 64 KiB.
OF_OTHERS = {"form": 3_000_000, "headers": 3_000_000}
#: Bytecodes in all threads, for each byte of a body and for each request.
FOR_EACH_BYTE, FOR_EACH_REQUEST = 150, 500_000
KINDS = 17


class Count:
    """Bytecodes by thread."""

    def __init__(self) -> None:
        self.of: dict[int, int] = {}

    def trace(self, frame, event, _):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            thread = threading.get_ident()
            self.of[thread] = self.of.get(thread, 0) + 1
        return self.trace

    @contextmanager
    def counting(self) -> Iterator[None]:
        # What traces already, such as coverage, goes on afterwards.
        before, before_in_threads = sys.gettrace(), threading.gettrace()
        threading.settrace(self.trace)
        sys.settrace(self.trace)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(before_in_threads)  # type: ignore[arg-type]


@pytest.fixture
def ask(serve) -> Callable[[Request], SimpleNamespace]:
    """Sends one request to the API in this very thread; gives the status and what it took."""
    app = serve(max_body_bytes=LARGEST + 100).app

    def asked(request: Request) -> SimpleNamespace:
        path, _, query = request.path.partition("?")
        scope = {
            "type": "http",
            "method": request.method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in request.headers.items()],
        }
        sent, count, unread = [], Count(), [request.body]

        async def receive():
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        async def run() -> None:
            with count.counting():
                await app(scope, receive, send)

        asyncio.run(run())
        in_loop = count.of.get(threading.get_ident(), 0)
        return SimpleNamespace(status=sent[0]["status"], in_loop=in_loop, in_all=sum(count.of.values()))

    # As `service.__main__` does; and the first requests of an application have it put together.
    app.openapi()
    for method, path in (("POST", "/v1/edits"), ("POST", "/v1/batches"), ("POST", "/v1/alignments"), ("GET", "/none")):
        asked(Request("warm", method, path, b"{}"))
    return asked


def of_tiny(request: Request) -> Request:
    """The same request of the model that the tests have."""
    body = request.body.replace(b'{"source"', b'{"model":"tiny","source"')
    return Request(request.kind, request.method, request.path, body[: LARGEST + 100], request.headers)


# Starlette leaves the files of a form that it refuses to Python to close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", range(KINDS))
def test_a_request_made_to_keep_the_api_busy_does_not(ask, kind):
    requests = [request for index, request in enumerate(corpus(5, 4 * KINDS)) if index % KINDS == kind]
    for request in map(of_tiny, requests):
        took = ask(request)

        assert took.in_loop <= OF_OTHERS.get(request.kind, IN_LOOP), request.kind
        most = OF_OTHERS.get(request.kind, FOR_EACH_REQUEST + FOR_EACH_BYTE * len(request.body))
        assert took.in_all <= most, request.kind


@pytest.mark.parametrize("path", ["/v1/edits", "/v1/images", "/v1/edits/order-1"])
def test_a_long_query_is_not_read(client, path):
    answer = client.get(f"{path}?{'a&' * 3_000}")

    assert (answer.status_code, answer.json()["code"]) == (414, "query_too_long")


def test_a_large_body_is_read_and_checked_in_another_thread(client, monkeypatch):
    threads: dict[str, int] = {}

    def noted(module, name: str) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given: threads.update({name: threading.get_ident()}) or real(*given))

    noted(bodies, "read_json")
    noted(submit, "job_for")
    noted(submit, "is_known")
    prompt = "a cat on the beach, " * 2
    weights = [{"word": "cat", "weight": 1 + number / 50} for number in range(32)]
    target = {"prompt": prompt, "edits": [{"kind": "refine"}, *({"kind": "reweight", "weights": weights},) * 7]}
    body = json.dumps({"model": "tiny", "source": {"prompt": prompt}, "targets": [target]})
    assert len(body) > 3 * SMALL

    assert client.post("/v1/edits", content=body, headers={"Content-Type": "application/json"}).status_code == 202
    loop = client.portal.call(threading.get_ident)
    assert loop not in (threads["read_json"], threads["job_for"])


@pytest.mark.parametrize("path", ["/v1/edits", "/v1/edits/order-1", "/v1/batches"])
def test_a_body_is_checked_once(client, monkeypatch, path):
    checked, real = [], EditSpec._complaints
    monkeypatch.setattr(EditSpec, "_complaints", lambda spec: checked.append(spec) or real(spec))
    edit = {"model": "tiny", "source": {"prompt": "a cat"}, "targets": [{"prompt": "a dog"}]}
    edit["targets"][0]["edits"] = [{"kind": "replace"}]
    body = {"edits": [edit]} if path == "/v1/batches" else edit
    answer = client.request(
        "PUT" if "order" in path else "POST",
        path,
        content=json.dumps(body) + " " * SMALL,
        headers={"Content-Type": "application/json"},
    )

    assert (answer.status_code, len(checked)) == (202, 1)


@pytest.mark.parametrize("path", ["/v1/edits", "/v1/batches"])
def test_every_prompt_of_a_request_is_read_once_however_many_names_there_are(client, monkeypatch, path):
    read, real = [], words.pieces_by_word
    monkeypatch.setattr(words, "pieces_by_word", lambda text: read.append(text) or real(text))
    names = [{"word": word} for word in ("cat", "beach", "the", "on", "a", "cat on")]
    edits = []
    for number in range(10, 50) if path == "/v1/edits" else range(50, 90):
        prompt = f"a cat on the beach, {number} houses"
        blend = {"words": names, "source_words": names, "subtract_words": names}
        target = {"prompt": prompt, "edits": [{"kind": "refine"}], "local_blend": blend}
        edits.append({"model": "tiny", "source": {"prompt": f"{prompt} now"}, "targets": [target]})
    body = edits[0] if path == "/v1/edits" else {"edits": edits}

    assert client.post(path, json=body).status_code == 202
    prompts = [text for text in read if "houses" in text]
    assert len(prompts) == len(set(prompts)) == (2 if path == "/v1/edits" else 80)

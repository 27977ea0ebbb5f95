"""What the router does with a request, over sockets: two cells that say what they got and answer as they are told."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from process.metrics import REGISTRIES, ROUTER
from router import names
from router.__main__ import application
from router.cells import cells_of, in_order, key_of
from router.settings import RouterSettings
from tests.patience import ANSWER, eventually
from tests.serving import serving

KEY = f"Bearer p2p_{'a1' * 6}_{'x' * 43}"


@dataclass
class Cell:
    """A cell: an ASGI application that answers what it is told to.

    Attributes:
        answer: what it answers to anything but `/readyz`: status and body, or a function of the request.
    """

    name: str
    answer: Any = (202, {"id": "x"})
    is_ready: bool = True
    got: list[SimpleNamespace] = field(default_factory=list)
    #: Set, it lets an answer that was begun go on; and the client has left.
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    left: bool = False

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        if scope["path"] == "/readyz":
            return await respond(send, 200 if self.is_ready else 503, {})
        body, over = b"", False
        while not over:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body, over = body + message.get("body", b""), not message.get("more_body")
        request = SimpleNamespace(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode(),
            body=body,
            headers=scope["headers"],
        )
        self.got.append(request)
        if callable(self.answer):
            return await self.answer(request, receive, send)
        await respond(send, *self.answer)


async def respond(send, status: int, body: object, headers=()):
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json"), *headers]}
    )
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


@pytest.fixture
def routed() -> Iterator[Callable[..., SimpleNamespace]]:
    """Starts a router before two cells, of which some may have no address that answers."""
    with ExitStack() as started:

        def start(*away: str, **settings: object) -> SimpleNamespace:
            cells = {name: Cell(name) for name in ("e1", "e2")}
            ports = {name: started.enter_context(serving(cell)) for name, cell in cells.items() if name not in away}
            with socket.create_server(("127.0.0.1", 0)) as taken:
                nobody = taken.getsockname()[1]
            named = " ".join(f"{name}=http://127.0.0.1:{ports.get(name, nobody)}" for name in cells)
            port = started.enter_context(serving(application(RouterSettings(cells=named, **settings))))
            client = started.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER))
            client.headers["Authorization"] = KEY
            order = [cell.name for cell in in_order(key_of(KEY), cells_of(named))]
            return SimpleNamespace(client=client, cells=cells, first=cells[order[0]], second=cells[order[1]], port=port)

        yield start


def other_of(name: str) -> str:
    return {"e1": "e2", "e2": "e1"}[name]


@pytest.fixture
def two(routed):
    return routed()


FIRST = in_order(key_of(KEY), cells_of("e1=http://a e2=http://b"))[0].name


def problem(status: int, code: str):
    return status, {"code": code, "status": status}


def test_what_has_an_id_goes_home_with_its_query_and_as_it_is_encoded(two):
    path = f"/v1/edits/e2-{uuid4().hex}"

    answer = two.client.get(f"{path}?wait=5&x=%2F")

    assert answer.status_code == 202
    assert [(each.path, each.query) for each in two.cells["e2"].got] == [(path, "wait=5&x=%2F")]
    assert two.cells["e1"].got == []


def test_new_work_goes_to_the_keys_first_cell(two):
    assert two.client.post("/v1/edits", json={"a": 1}).json() == {"id": "x"}

    assert [json.loads(each.body) for each in two.first.got] == [{"a": 1}]
    assert two.second.got == []


@pytest.mark.parametrize("code", ["queue_full", "too_many_connections"])
def test_what_the_first_cell_refuses_the_second_is_given(two, code):
    two.first.answer = problem(503, code)

    assert two.client.post("/v1/edits", json={"a": 1}, headers={"Idempotency-Key": "k"}).status_code == 202

    assert [json.loads(each.body) for each in two.second.got] == [{"a": 1}]


def test_a_retry_of_what_the_second_cell_accepted_goes_there_again(two):
    two.first.answer = problem(503, "queue_full")
    for _ in range(2):
        two.client.post("/v1/edits", json={}, headers={"Idempotency-Key": "k"})
        two.first.answer = (202, {})

    assert (len(two.first.got), len(two.second.got)) == (1, 2)


def test_where_both_refuse_the_client_is_told_so(two):
    two.first.answer = two.second.answer = problem(503, "queue_full")

    assert two.client.post("/v1/edits", json={}).json()["code"] == "queue_full"


@pytest.mark.parametrize("answer", [problem(503, "redis_unavailable"), problem(500, "internal_error"), (503, "proxy")])
def test_what_the_first_cell_may_have_accepted_goes_nowhere_else_under_its_name(two, answer):
    two.first.answer = answer
    for _ in range(3):
        assert two.client.post("/v1/edits", json={}, headers={"Idempotency-Key": "k"}).status_code == answer[0]

    assert two.second.got == []
    assert two.client.post("/v1/edits", json={}, headers={"Idempotency-Key": "other"}).status_code == 202


def test_an_answer_that_breaks_off_leaves_its_request_in_doubt(two):
    async def dies(request, receive, send):
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"100")]})

    two.first.answer = dies
    answer = two.client.post("/v1/edits", json={}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (503, "cell_unavailable")
    two.first.answer = (202, {"id": "same"})

    assert two.client.post("/v1/edits", json={}, headers={"Idempotency-Key": "k"}).json() == {"id": "same"}
    assert two.second.got == []


@pytest.mark.parametrize("path", ["/v1/edits", "/v1/inversions"])
def test_an_answer_that_breaks_off_while_the_router_reads_it_is_an_error_of_the_cell(two, path):
    async def breaks_off(request, receive, send):
        status = 503 if request.method == "POST" else 200
        headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"code"', "more_body": True})

    two.first.answer = two.second.answer = breaks_off
    for answer in (two.client.post(path, json={}, headers={"Idempotency-Key": "k"}), two.client.get(path)):
        assert (answer.status_code, answer.json()["code"]) == (503, "cell_unavailable")


def test_a_refusal_of_the_request_is_the_clients_and_leaves_its_name_free(two):
    two.first.answer = problem(422, "invalid_request")
    assert two.client.post("/v1/edits", json={}, headers={"Idempotency-Key": "k"}).status_code == 422
    two.first.answer = problem(503, "queue_full")

    assert two.client.post("/v1/edits", json={}, headers={"Idempotency-Key": "k"}).status_code == 202


def test_where_the_first_cell_is_away_the_second_has_new_work_and_its_retries(routed):
    two = routed(FIRST)

    for _ in range(2):
        assert two.client.post("/v1/edits", json={}, headers={"Idempotency-Key": "k"}).status_code == 202
    assert two.client.post("/v1/images", content=iter([b"a", b"b"])).status_code == 202

    assert [each.body for each in two.second.got] == [b"{}", b"{}", b"ab"]


def test_what_lives_in_a_cell_that_is_away_is_said_to_be_and_not_looked_for_elsewhere(routed):
    two = routed(FIRST)
    named = {"source": {"image": {"upload": f"{FIRST}-img_{uuid4().hex}"}}}

    for answer in (two.client.get(f"/v1/edits/{FIRST}-{uuid4().hex}"), two.client.post("/v1/edits", json=named)):
        assert (answer.status_code, answer.json()["code"]) == (503, "cell_unavailable")
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
    assert two.second.got == []


def test_a_cell_that_is_not_ready_gets_new_work_last(two):
    two.first.is_ready = False
    assert eventually(lambda: two.client.get("/readyz").json()["cells"][two.first.name] == "takes no work")

    two.client.post("/v1/edits", json={})

    assert (len(two.first.got), len(two.second.got)) == (0, 1)


def test_an_id_of_the_clients_own_is_looked_for_in_both_cells(two):
    two.first.answer, two.second.answer = problem(404, "job_not_found"), (200, {"id": "found"})
    assert two.client.get("/v1/edits/order-7").json() == {"id": "found"}

    two.second.answer = problem(404, "job_not_found")
    assert two.client.get("/v1/edits/order-7").json()["code"] == "job_not_found"


def test_an_own_id_that_nobody_knows_while_a_cell_is_away_may_be_there(routed):
    two = routed(FIRST)
    two.second.answer = problem(404, "job_not_found")

    assert two.client.get("/v1/edits/order-7").json()["code"] == "cell_unavailable"


def pages(*names: str):
    """A list of a page for each name."""

    async def answer(request, receive, send):
        cursor = dict(httpx.QueryParams(request.query)).get("cursor")
        place = 0 if cursor is None else int(cursor)
        follows = str(place + 1) if place + 1 < len(names) else None
        await respond(send, 200, {"edits": [{"id": names[place]}], "cursor": follows}, [(b"etag", b'"a"')])

    return answer


def test_a_list_is_that_of_one_cell_after_another(two):
    two.first.answer, two.second.answer = pages("a", "b"), pages("c")
    found, cursor = [], None
    while True:
        asked = {"limit": "1", **({"cursor": cursor} if cursor else {})}
        answer = two.client.get("/v1/edits", params=asked)
        found += [each["id"] for each in answer.json()["edits"]]
        if (cursor := answer.json()["cursor"]) is None:
            break

    assert found == ["a", "b", "c"]
    assert all("limit=1" in each.query for each in two.first.got + two.second.got)


def test_the_list_of_one_cell_is_asked_for_by_its_name(two):
    two.second.answer = pages("c")

    assert two.client.get("/v1/edits", params={"cell": two.second.name}).json() == {
        "edits": [{"id": "c"}],
        "cursor": None,
    }
    assert two.client.get("/v1/edits", params={"cell": "e7"}).json()["code"] == "unknown_cell"


def test_a_list_without_pages_is_put_together(two):
    two.first.answer, two.second.answer = (200, {"inversions": [1]}), (200, {"inversions": [2, 3]})

    assert two.client.get("/v1/inversions").json() == {"inversions": [1, 2, 3]}


def test_no_list_lacks_a_part(routed):
    two = routed(FIRST)
    two.second.answer = (200, {"inversions": []})

    assert two.client.get("/v1/inversions").json()["code"] == "cell_unavailable"


def test_the_head_of_a_list_is_that_of_its_page(two):
    two.first.answer = pages("a")
    head, page = two.client.head("/v1/edits"), two.client.get("/v1/edits")

    assert (head.status_code, head.content, head.headers["content-length"]) == (
        200,
        b"",
        page.headers["content-length"],
    )


def test_events_are_given_on_as_they_come_and_end_when_the_client_leaves(two):
    async def events(request, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"event: queued\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        two.cells["e1"].left = True

    two.cells["e1"].answer = events
    with two.client.stream("GET", f"/v1/edits/e1-{uuid4().hex}/events") as answer:
        chunks = answer.iter_raw()  # kept: one that is dropped closes the connection
        assert next(chunks) == b"event: queued\n\n"
        assert not two.cells["e1"].left

    assert eventually(lambda: two.cells["e1"].left)


def test_a_client_that_leaves_before_the_answer_leaves_the_cell_too(two):
    async def waits(request, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        two.cells["e1"].left = True

    two.cells["e1"].answer = waits
    with socket.create_connection(("127.0.0.1", two.port)) as client:
        client.sendall(f"GET /v1/edits/e1-{uuid4().hex}?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert eventually(lambda: two.cells["e1"].got)

    assert eventually(lambda: two.cells["e1"].left)


def test_a_body_beyond_the_bound_is_refused_and_reaches_no_cell(routed):
    two = routed(max_body_bytes=1000, max_image_bytes=1000)

    for path, content in (
        ("/v1/edits", b"x" * 1001),
        ("/v1/edits", iter([b"x" * 600] * 2)),
        ("/v1/images", b"x" * 20_000),
    ):
        answer = two.client.post(path, content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert two.first.got == two.second.got == []


def test_headers_of_the_hop_stay_and_the_client_is_named(two):
    given = {
        "Connection": "x-mine, close",
        "X-Mine": "1",
        "TE": "trailers",
        "X-Forwarded-For": "9.9.9.9",
        "X-Other": "2",
    }
    two.client.get("/v1/models", headers=given)

    (got,) = two.first.got
    headers = {name.decode(): text.decode() for name, text in got.headers}
    assert {"connection", "x-mine", "te"} & headers.keys() <= {"connection"}
    assert headers.get("connection") != "x-mine, close"
    # The server that tests start believes loopback, and takes the client for the one that the header names.
    assert headers["x-forwarded-for"].split(", ")[0] == "9.9.9.9"
    assert (headers["x-forwarded-proto"], headers["x-other"]) == ("http", "2")
    assert headers["host"] == headers["x-forwarded-host"] == f"127.0.0.1:{two.port}"
    assert "user-agent" in headers


def test_metrics_of_cells_are_not_the_clients(two):
    assert two.client.get("/metrics").json()["code"] == "not_found"
    assert two.first.got == []


def test_it_lives_without_cells_and_is_ready_with_one(routed):
    two = routed("e1", "e2")
    assert two.client.get("/livez").json() == {"status": "alive"}
    assert eventually(lambda: two.client.get("/readyz").status_code == 503)

    one = routed("e1")
    assert eventually(lambda: one.client.get("/readyz").json()["cells"] == {"e1": "takes no work", "e2": "works"})


def shown(name: str, **labels: str) -> float:
    return REGISTRIES[ROUTER].get_sample_value(name, labels) or 0.0


def passed_on(cell: str, result: str) -> float:
    return shown("p2p_router_request_seconds_count", cell=cell, result=result)


def test_requests_are_counted_by_their_cell_and_by_what_came_of_them(routed):
    away = {"e1": "e2", "e2": "e1"}[FIRST]
    two = routed(away)
    before = [passed_on(FIRST, "4xx"), passed_on(away, "not_sent")]
    two.cells[FIRST].answer = problem(404, "job_not_found")

    two.client.get(f"/v1/edits/{FIRST}-{uuid4().hex}")
    two.client.post(f"/v1/edits/{away}-{uuid4().hex}/cancel")

    assert [passed_on(FIRST, "4xx"), passed_on(away, "not_sent")] == [number + 1 for number in before]


def test_a_request_without_an_answer_is_counted_as_in_doubt(two):
    async def breaks_off(request, receive, send):
        raise ConnectionError("the cell is killed")

    before = passed_on("e1", "5xx") + passed_on("e1", "in_doubt")
    two.cells["e1"].answer = breaks_off

    two.client.post(f"/v1/edits/e1-{uuid4().hex}/cancel")

    assert passed_on("e1", "5xx") + passed_on("e1", "in_doubt") == before + 1


def test_it_shows_which_cells_take_work(two):
    two.second.is_ready = False

    assert eventually(lambda: shown("p2p_router_cell_works", cell=two.second.name) == 0)
    assert shown("p2p_router_cell_works", cell=two.first.name) == 1


def test_names_have_a_bound_and_are_counted(routed, monkeypatch):
    monkeypatch.setattr(names, "MOST", 3)
    two = routed()

    for number in range(5):
        two.client.post("/v1/edits", json={}, headers={"Idempotency-Key": f"name {number}"})

    assert shown("p2p_router_names_held") == 3


def test_of_an_answer_that_the_client_does_not_read_little_is_held(two):
    """It stops reading from the cell: what is on its way stands in the buffers of two connections."""
    sent, whole, piece = 0, 32 << 20, b"x" * (1 << 15)

    async def large(request, receive, send):
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(whole // len(piece)):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent += len(piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    two.cells["e1"].answer = large
    with two.client.stream("GET", f"/v1/edits/e1-{uuid4().hex}/events") as answer:
        assert eventually(lambda: shown("p2p_router_requests_open") == 1 and sent > 0)
        time.sleep(0.5)  # it would have had time for all of it
        held = sent
        read = sum(map(len, answer.iter_raw()))

    # A socket's buffers hold a few MiB each, by Linux's own bounds (tcp_rmem, tcp_wmem).
    assert held < whole / 2
    assert read == whole
    assert eventually(lambda: shown("p2p_router_requests_open") == 0)

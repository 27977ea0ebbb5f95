"""Routes whose functions are called directly answer as FastAPI would have them answer."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, Response
from starlette.testclient import TestClient

from process import metrics
from service.edits import routes
from service.http.bodies import JsonRoute
from service.http.direct import DirectRoute

Headers = Sequence[tuple[str, str | bytes]]

OURS, OWN = "0123456789abcdef" * 2, "mine"
IDS = (OURS, OWN, "a" * 65, "a.b", "%C3%A4", "a%2Fb")
QUERIES = ("", "wait=0", "wait=", "wait=-1", "wait=61", "wait=x", "wait=0&wait=x", "wait=0.0", "other=1", "w" * 5000)
TAGS: Sequence[Headers] = (
    (),
    (("If-None-Match", "*"),),
    (("If-None-Match", ""),),
    (("If-None-Match", "a"), ("If-None-Match", "*")),
    (("if_none_match", "*"),),
    (("If-None-Match", b"\xff\xfe"),),
)
OF_POSTS: Sequence[Headers] = (
    *((("Idempotency-Key", key),) for key in ("", "a", "a" * 255, "a" * 256, b"\xe4\xff")),
    (("Idempotency-Key", "one"), ("Idempotency-Key", "")),
    (("Idempotency-Key", ""), ("Idempotency-Key", "one")),
    (("idempotency_key", ""),),
    (("traceparent", b"\xff"), ("Prefer", b"\xff")),
    (("Prefer", "wait=0, respond-async"),),
    (("Prefer", "wait=x"), ("Prefer", "respond-async")),
)


@pytest.fixture
def by_fastapi(serve, monkeypatch) -> TestClient:
    """The same API, where FastAPI calls the same functions."""
    router = APIRouter(route_class=JsonRoute)
    for route in routes.direct.routes:
        router.add_api_route(
            route.path,
            route.endpoint,
            methods=list(route.methods),
            status_code=route.status_code,
            response_model=route.response_model,
        )
    monkeypatch.setattr(routes, "direct", router)
    return serve()


def said(response) -> tuple[int, dict, dict]:
    """An answer, without what is each edit's own."""
    own = ("id", "links", "created_at", "expires_at", "seed")
    body = response.json() if response.content else {}
    # Both keep their edits in one store: what one of them has accepted is there already for the other.
    of_first = ("location", "content-length", "idempotency-replayed")
    headers = {name: value for name, value in response.headers.items() if name not in of_first}
    return response.status_code, {name: body[name] for name in body.keys() - set(own)}, headers


def differences(one: TestClient, other: TestClient, requests: Iterator[tuple]) -> list[tuple]:
    found = []
    for method, address, headers, body in requests:
        answers = [said(each.request(method, address, headers=list(headers), content=body)) for each in (one, other)]
        if answers[0] != answers[1]:
            found.append((method, address, headers, answers))
    return found


def test_every_way_to_ask_how_an_edit_stands_has_the_same_answer(client, by_fastapi, edit):
    for edit_id in (OURS, OWN):
        client.put(f"/v1/edits/{edit_id}", json=edit)
    asked = (("GET", f"/v1/edits/{each}?{query}", tags, b"") for each, query, tags in product(IDS, QUERIES, TAGS))

    assert differences(client, by_fastapi, asked) == []


@pytest.mark.parametrize("address", ["/v1/edits", *(f"/v1/edits/{each}" for each in IDS[1:])])
def test_every_header_of_a_new_edit_means_the_same(client, by_fastapi, edit, address):
    method, kind = ("POST" if address == "/v1/edits" else "PUT"), ("Content-Type", "application/json")
    bodies = (json.dumps(edit).encode(), b"{}", b"")
    asked = ((method, address, (*headers, kind), body) for headers, body in product(OF_POSTS, bodies))

    assert differences(client, by_fastapi, asked) == []


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE", "POST", "HEAD"])
def test_another_method_has_the_same_answer(client, by_fastapi, method):
    assert differences(client, by_fastapi, iter([(method, f"/v1/edits/{OURS}", (), b"")])) == []


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_a_client_that_goes_before_all_is_sent_is_no_failure_of_ours(client, content_type):
    headers = [(b"host", b"api.test"), (b"content-type", content_type.encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/edits", "query_string": b"", "headers": headers}
    coming = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(coming)

    async def send(message):
        sent.append(message)

    asyncio.run(client.app(scope, receive, send))

    assert sent[0]["status"] == 400


def test_an_answer_is_counted_under_its_route(client, edit):
    def count(method: str, route: str) -> float:
        labels = {"method": method, "route": route, "status": "2xx"}
        return metrics.REGISTRIES[metrics.API].get_sample_value("p2p_http_request_seconds_count", labels) or 0

    before = count("POST", "/v1/edits"), count("GET", "/v1/edits/{edit_id}")
    client.get(client.post("/v1/edits", json=edit).headers["Location"])

    assert (count("POST", "/v1/edits"), count("GET", "/v1/edits/{edit_id}")) == (before[0] + 1, before[1] + 1)


def test_a_function_that_depends_on_more_is_refused_when_it_is_declared():
    router = APIRouter(route_class=DirectRoute)

    def something() -> int:
        return 1

    async def function(_: Annotated[int, Depends(something)]) -> Response:
        return Response()

    with pytest.raises(TypeError, match="make it a JsonRoute"):
        router.get("/")(function)

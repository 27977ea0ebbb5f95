"""Pages of the origins that a setting names may call the API, and read all of what it answers; others may not."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from jobs.errors import RateLimited
from process.metrics import API, REGISTRIES
from service.http.errors import Unauthenticated
from service.settings import Settings

PAGE, OTHER = "https://pages.example", "https://other.example"
ORIGIN = {"Origin": PAGE}


@pytest.fixture
def shared(serve):
    """The API, open to one page."""
    return serve(cors_origins=f"{PAGE} http://localhost:5173")


def asks_first(client, method: str, *headers: str, origin: str = PAGE, path: str = "/v1/edits"):
    """A preflight request."""
    about = {"Origin": origin, "Access-Control-Request-Method": method}
    wanted = {"Access-Control-Request-Headers": ", ".join(headers)} if headers else {}
    return client.options(path, headers={**about, **wanted})


def test_no_page_may_call_the_api_by_default(client, edit):
    for response in (asks_first(client, "POST"), client.post("/v1/edits", json=edit, headers=ORIGIN)):
        assert not any(name.startswith("access-control") for name in response.headers)


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:5173"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_page_may_send_what_the_api_reads(shared, origin, method):
    response = asks_first(
        shared, method, "authorization", "content-type", "idempotency-key", "if-none-match", "last-event-id", "prefer",
        "traceparent", origin=origin,
    )  # fmt: skip

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert method in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("origin", [OTHER, "https://pages.example.evil.example", "http://pages.example", "null"])
def test_another_page_may_not(shared, edit, origin):
    assert asks_first(shared, "POST", origin=origin).status_code == 400
    answer = shared.post("/v1/edits", json=edit, headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


def test_a_page_may_read_what_an_answer_says_in_its_headers(shared, edit):
    accepted = shared.post("/v1/edits", json=edit, headers={**ORIGIN, "Prefer": "respond-async"})
    fetched = shared.get(accepted.headers["Location"], headers=ORIGIN)

    exposed = {name.lower() for name in accepted.headers["Access-Control-Expose-Headers"].split(", ")}
    assert {"location", "preference-applied", "etag", "retry-after", "link", "idempotency-replayed"} <= exposed
    # Whatever the API itself says there.
    own = {name for answer in (accepted, fetched) for name in answer.headers}
    assert {name for name in own if not name.startswith(("content-", "access-control-"))} <= exposed | {"vary"}
    assert "Access-Control-Allow-Credentials" not in accepted.headers


async def _refuse(*_):
    raise RateLimited(3)


async def _fail(*_):
    raise RuntimeError


@pytest.mark.parametrize(
    ("admit", "path", "body", "status"),
    [
        (None, "/v1/edits", b"{", 400),
        (None, "/v1/nothing", b"{}", 404),
        (None, "/v1/models", b"{}", 405),
        (None, "/v1/edits", b" " * 300_000, 413),
        (None, "/v1/edits", b"{}", 422),
        (_refuse, "/v1/edits", None, 429),
        (_fail, "/v1/edits", None, 500),
    ],
)
def test_a_page_may_read_every_error(shared, parts, monkeypatch, edit, admit, path, body, status):
    if admit:
        monkeypatch.setattr(parts.plane.store, "admit", admit)
    how = {"json": edit} if body is None else {"content": body}

    response = shared.post(path, headers={**ORIGIN, "Content-Type": "application/json"}, **how)

    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Retry-After" in response.headers or status != 429


def test_a_page_may_read_that_its_key_is_not_good(parts, serve):
    class Nobody:
        async def of(self, authorization: str):
            raise Unauthenticated

    parts.plane = replace(parts.plane, callers=Nobody())

    response = serve(cors_origins=PAGE).get("/v1/edits", headers={**ORIGIN, "Authorization": "Bearer p2p_x_y"})

    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert "WWW-Authenticate" in response.headers["Access-Control-Expose-Headers"]


def test_a_page_may_follow_events(shared, edit):
    address = shared.post("/v1/edits", json=edit).headers["Location"]
    shared.post(f"{address}/cancel")

    events = shared.get(f"{address}/events", headers={**ORIGIN, "Last-Event-ID": "1-0"})

    assert events.headers["Content-Type"].startswith("text/event-stream")
    assert events.headers["Access-Control-Allow-Origin"] == PAGE
    assert "event: canceled" in events.text


def test_every_page_may_where_the_setting_says_so(serve, edit):
    anyone = serve(cors_origins="*").post("/v1/edits", json=edit, headers={"Origin": OTHER})

    assert anyone.headers["Access-Control-Allow-Origin"] == "*"


def test_what_a_page_asks_first_is_counted_too(shared):
    def asked() -> float:
        labels = {"method": "OPTIONS", "route": "none", "status": "2xx"}
        return REGISTRIES[API].get_sample_value("p2p_http_request_seconds_count", labels) or 0.0

    before = asked()
    asks_first(shared, "POST")

    assert asked() == before + 1


@pytest.mark.parametrize("origin", ["example.com", "https://example.com/", "https://example.com/a", "https://*.com"])
def test_what_no_browser_would_send_is_no_origin(origin):
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(cors_origins=f"https://good.example {origin}")

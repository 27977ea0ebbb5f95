"""`HEAD` is answered wherever `GET` is, by the same status and headers, and without a body."""

import http.client
import json
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from PIL import Image

from jobs import moves
from process import metrics
from service.app import create_app
from service.settings import Settings
from tests.hostile import file_of
from tests.serving import serving

ARTIFACT = "jobs/j1/e1/source.png"
PNG = file_of(Image.new("RGB", (40, 30)), "PNG")


def routes(app) -> Iterator[tuple[str, set[str]]]:
    """Every address of an app with its methods, those of included routers too."""
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        for each in [route] if inner is None else inner.routes:
            yield each.path, each.methods


GETS = sorted({path for path, methods in routes(create_app(Settings())) if "GET" in methods})


@pytest.fixture
def addresses(client, edit, parts) -> dict[str, str]:
    """An address at which something is, for every route that answers GET."""
    job = client.post("/v1/edits", json=edit).json()
    parts.store.make(moves.cancel(parts.store.get(job["id"])))
    batch = client.post("/v1/batches", json={"edits": [edit]}).json()
    image = client.post("/v1/images", files={"image": PNG}).json()
    parts.storage.put(ARTIFACT, b"a picture", "image/png")
    return {
        "/v1/edits/{edit_id}": job["links"]["self"],
        "/v1/edits/{edit_id}/events": job["links"]["events"],
        "/v1/edits/{edit_id}/deliveries": f"{job['links']['self']}/deliveries",
        "/v1/batches/{batch_id}": batch["links"]["self"],
        "/v1/batches/{batch_id}/deliveries": batch["links"]["deliveries"],
        "/v1/images/{image_id}": image["links"]["self"],
        "/v1/artifacts/{key:path}": parts.plane.signer.url(ARTIFACT, timedelta(minutes=5)),
        "/playground/{name:path}": "/playground/style.css",
        "/docs/{name}": "/docs/swagger-ui.css",
    }


@pytest.mark.parametrize("path", GETS)
def test_the_head_of_everything_is_that_of_its_get(client, addresses, path):
    address = addresses.get(path, path)
    assert "{" not in address, "a new route: say in `addresses` where one of it is"

    got, head = client.get(address), client.head(address)

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert got.status_code < 300
    assert got.content
    # Metrics count this very request.
    left_out = {"content-length"} if path == "/metrics" else set()
    assert {**head.headers, **dict.fromkeys(left_out, "")} == {**got.headers, **dict.fromkeys(left_out, "")}


def test_the_kept_picture_of_an_upload_has_a_head(client):
    image = client.post("/v1/images", files={"image": PNG}).json()

    head = client.head(image["url"])

    assert (head.status_code, head.headers["Content-Type"]) == (200, "image/png")
    assert int(head.headers["Content-Length"]) == image["bytes"]


@pytest.mark.parametrize(
    ("address", "status"),
    [("/v1/edits/nobody", 404), ("/nothing", 404), ("/v1/edits?limit=x", 422), ("/v1/artifacts/x?expires=1", 403)],
)
def test_the_head_of_an_error_is_that_of_its_get(client, address, status):
    got, head = client.get(address), client.head(address)

    assert (head.status_code, head.content) == (got.status_code, b"") == (status, b"")
    assert head.headers == got.headers


def test_what_the_client_has_is_not_modified_for_head_either(client, edit):
    address = client.post("/v1/edits", json=edit).headers["Location"]
    tag = client.head(address).headers["ETag"]

    head = client.head(address, headers={"If-None-Match": tag})

    assert (head.status_code, head.headers["ETag"]) == (304, tag)


@pytest.mark.parametrize("path", ["/v1/edits", "/v1/edits/x", "/v1/images", "/v1/models", "/livez", "/metrics", "/"])
def test_head_is_among_the_methods_that_a_wrong_one_is_told(client, path):
    answer = client.patch(path)

    assert answer.status_code == 405
    allowed = answer.headers["Allow"].split(", ")
    assert {"GET", "HEAD"} <= set(allowed)
    assert len(allowed) == len(set(allowed))


def test_where_nothing_can_be_fetched_there_is_no_head(client):
    answer = client.head("/v1/alignments")

    assert (answer.status_code, answer.headers["Allow"], answer.content) == (405, "POST", b"")


def test_a_head_is_one_to_the_metrics(client):
    labels = {"method": "HEAD", "route": "/livez", "status": "2xx"}

    def counted() -> float:
        return metrics.REGISTRIES[metrics.API].get_sample_value("p2p_http_request_seconds_count", labels) or 0

    before = counted()
    client.head("/livez")

    assert counted() == before + 1


@pytest.fixture
def connection(client) -> Iterator[SimpleNamespace]:
    """A connection to the same API behind a real server."""
    with serving(client.app) as port:
        opened = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        yield opened
        opened.close()


def test_the_head_of_a_stream_holds_no_connection(connection, client, edit, parts):
    """The edit waits for ever: a stream that went on would keep the connection from the next request."""
    job = client.post("/v1/edits", json=edit).json()

    connection.request("HEAD", job["links"]["events"])
    head = connection.getresponse()
    assert (head.status, head.headers["Content-Type"], head.read()) == (200, "text/event-stream; charset=utf-8", b"")
    connection.request("GET", "/livez")
    assert json.loads(connection.getresponse().read()) == {"status": "alive"}


def test_many_heads_go_over_one_connection(connection, client, edit):
    address = client.post("/v1/edits", json=edit).headers["Location"]

    for _ in range(3):
        connection.request("HEAD", address)
        head = connection.getresponse()
        head.read()
        connection.request("GET", address)
        got = connection.getresponse()
        assert len(got.read()) == int(head.headers["Content-Length"])

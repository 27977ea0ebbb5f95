"""A page of another origin sends nothing that changes something, whatever way its browser tells of it."""

import io

import pytest
from PIL import Image

from tests.unit.service.test_head import routes

PAGE = "https://pages.example"
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://api.test.evil.example"},
    {"Origin": "http://api.test:8001"},
    {"Origin": "http://api.test@evil.example"},
    {"Origin": "api.test"},
    {"Origin": "ftp://api.test"},
    {"Origin": "chrome-extension://api.test"},
    {"Origin": "file://"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "Cross-Site"},
    {"Sec-Fetch-Site": "something-new"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "none", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://api.test"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://api.test:3000"},
]
OWN = [
    {},
    {"Origin": "http://api.test"},
    {"Origin": "http://API.test"},
    {"Origin": "http://api.test:80"},
    {"Origin": "https://api.test"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://api.test"},
    # Behind a proxy that sets a Host header of its own.
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://edits.example.com"},
]


def unsafe() -> list[tuple[str, str]]:
    """Every method and address that changes something."""
    from service.app import create_app
    from service.settings import Settings

    changing = {"POST", "PUT", "DELETE", "PATCH"}
    return sorted((m, path) for path, methods in routes(create_app(Settings())) for m in methods if m in changing)


@pytest.mark.parametrize(("method", "path"), unsafe())
def test_no_address_that_changes_something_takes_it_from_a_foreign_page(client, method, path):
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.request(method, path, headers=headers, content=b"{}")
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_cancels_nothing_and_sends_nothing(client, edit, parts, headers):
    address = client.post("/v1/edits", json=edit).headers["Location"]

    answers = [
        client.post(f"{address}/cancel", headers=headers),
        client.post("/v1/edits", json=edit, headers=headers),
        client.post("/v1/edits", json=edit, headers={**headers, "Authorization": "Bearer p2p_1_2"}),
        client.post("/v1/images", files={"image": picture()}, headers=headers),
        client.request("BREW", "/v1/edits", headers=headers),
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "origin_not_allowed")}
    assert client.get(address).json()["status"] == "queued"
    assert len(client.get("/v1/edits").json()["edits"]) == 1
    assert parts.images.kept == {}


@pytest.mark.parametrize("headers", OWN)
def test_programs_and_the_services_own_page_send_what_they_like(client, edit, headers):
    address = client.post("/v1/edits", json=edit, headers=headers).headers["Location"]

    assert client.post(f"{address}/cancel", headers=headers).status_code == 200
    assert client.post("/v1/images", files={"image": picture()}, headers=headers).status_code == 201


@pytest.mark.parametrize("headers", FOREIGN)
def test_reading_is_for_cors_to_allow(client, headers):
    answer = client.get("/v1/models", headers=headers)

    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert client.head("/v1/models", headers=headers).status_code == 200


def test_a_page_that_cors_allows_sends_what_it_likes(serve, edit):
    client = serve(cors_origins=PAGE)

    for site in ("cross-site", "same-site"):
        headers = {"Origin": PAGE, "Sec-Fetch-Site": site}
        assert client.post("/v1/edits", json=edit, headers=headers).status_code == 202
    refused = client.post("/v1/edits", json=edit, headers={"Origin": "https://other.example"})
    assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")


def test_a_page_that_cors_allows_can_read_why_it_is_refused(serve, edit):
    """By another header of the same request."""
    headers = {"Origin": PAGE, **{f"X-{number}": "1" for number in range(100)}}

    answer = serve(cors_origins=PAGE).post("/v1/edits", json=edit, headers=headers)

    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (431, PAGE)


@pytest.mark.parametrize("origin", [PAGE, "null", "https://evil.example"])
def test_every_page_may_where_cors_allows_every_one(serve, edit, origin):
    client = serve(cors_origins="*")

    assert client.post("/v1/edits", json=edit, headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"}).is_success


@pytest.mark.parametrize("url", ["https://edits.example.com/under/here", "https://EDITS.example.com:443"])
def test_the_page_works_behind_a_proxy_that_tells_no_site(serve, edit, url):
    """Browsers tell the site over TLS and to loopback only; the proxy here sets a Host header of its own."""
    client = serve(public_url=url)

    assert client.post("/v1/edits", json=edit, headers={"Origin": "https://edits.example.com"}).status_code == 202
    for origin in ("https://edits.example.com:8443", "http://edits.example.com.evil.example"):
        assert client.post("/v1/edits", json=edit, headers={"Origin": origin}).status_code == 403


def test_several_origins_are_as_good_as_the_worst(client, edit):
    headers = [("Origin", "http://api.test"), ("Origin", "https://evil.example")]

    assert client.post("/v1/edits", json=edit, headers=headers).status_code == 403
    several = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]
    assert client.post("/v1/edits", json=edit, headers=several).status_code == 403


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 20)).save(file, "PNG")
    return file.getvalue()


def test_the_public_urls_host_under_another_scheme_is_another_origin(serve, edit):
    """What stands between a browser and the proxy can answer for any page of `http://`."""
    client = serve(public_url="https://api.test")
    for headers in (
        {"Origin": "http://api.test"},
        {"Origin": "http://api.test:443"},
        {"Origin": "http://API.test"},
        {"Origin": "http://api.test", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://api.test", "Sec-Fetch-Site": "none"},
    ):
        answer = client.post("/v1/edits", json=edit, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed"), headers
    for headers in ({"Origin": "https://api.test"}, {"Origin": "https://api.test:443"}, {}):
        assert client.post("/v1/edits", json=edit, headers=headers).status_code == 202, headers


def test_an_origin_of_another_scheme_may_be_listed(serve, edit):
    client = serve(public_url="https://api.test", cors_origins="http://api.test")
    assert client.post("/v1/edits", json=edit, headers={"Origin": "http://api.test"}).status_code == 202

"""What holds for every answer, and for every request's header."""

import pytest

from tests.connecting import rest
from tests.unit.service.test_head import routes


def addresses() -> list[tuple[str, str]]:
    """Every method and address, those that no route has included."""
    from service.app import create_app
    from service.settings import Settings

    found = {(method, path) for path, methods in routes(create_app(Settings())) for method in methods}
    return sorted(found | {("GET", "/none"), ("BREW", "/v1/edits"), ("OPTIONS", "/v1/edits"), ("TRACE", "/docs")})


def test_no_browser_guesses_what_an_answer_is(listening):
    """Whatever is asked for, and by whichever page: what the service refuses, too."""
    server = listening()
    heads = [f"{method} {path} HTTP/1.1" for method, path in addresses()] + ["GET /docs/docs.css HTTP/1.1", "HELO"]
    for head in heads:
        for further in ("Host: localhost", "Host: evil.example", "Host: localhost\r\nOrigin: https://evil.example"):
            received = rest(server.connect(f"{head}\r\n{further}\r\nConnection: close\r\n\r\n".encode()))
            assert received.lower().count(b"\r\nx-content-type-options: nosniff\r\n") == 1, (head, further)


@pytest.mark.parametrize("name", ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"])
@pytest.mark.parametrize("values", [("a", "a"), ("Bearer x", "Bearer y"), ("", "a"), ("a", "b", "c")])
def test_a_field_that_says_one_thing_comes_once(client, edit, name, values):
    for method, path in (("POST", "/v1/edits"), ("GET", "/v1/edits"), ("GET", "/livez"), ("POST", "/v1/images")):
        answer = client.request(method, path, headers=[(name, value) for value in values])
        assert (answer.status_code, answer.json()["code"]) == (400, "repeated_header")
        assert name.lower() in answer.json()["detail"]


def test_names_of_fields_are_compared_without_case(client):
    answer = client.get("/v1/edits", headers=[("authorization", "Bearer x"), ("AUTHORIZATION", "Bearer x")])
    assert answer.json()["code"] == "repeated_header"


def test_a_field_that_may_be_a_list_comes_as_often_as_it_likes(client, edit):
    answer = client.post("/v1/edits", json=edit, headers=[("Accept", "a/b"), ("Accept", "c/d"), ("Prefer", "a")] * 3)
    assert answer.status_code == 202

"""A request is answered under a host of the service's own, and under no name that somebody else controls."""

import pytest
from pydantic import ValidationError

from layers.hosts import AllowedHosts, host_of
from service.settings import Settings
from tests.unit.service.raw_requests import request

OWN = [
    "localhost",
    "localhost:8000",
    "LocalHost:1",
    "localhost.",
    "localhost.:8000",
    "localhost:",
    "app.localhost:3000",
    "127.0.0.1",
    "127.0.0.1:8000",
    "127.8.9.10",
    "[::1]",
    "[::1]:8000",
    "[0:0:0:0:0:0:0:1]:8000",
    "[::FFFF:127.0.0.1]",
]
FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil-localhost",
    "evillocalhost",
    "localhost..",
    ".localhost.evil",
    "0.0.0.0:8000",
    "10.0.0.7",
    "[::]",
    "[::2]:8000",
    "[fe80::1]",
    "[::1",
    "::1",
    "[::1].evil.example",
    "[localhost]",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "0177.0.0.1",
    "localhost:80a",
    "localhost:80:80",
    "localhost@evil.example",
    "user@localhost",
    "localhost/evil",
    "localhost, evil.example",
    "localhost evil.example",
    "localhost\\evil.example",
    "lo\xc3\xa7alhost",
    "http://localhost",
    "*",
    "",
]


@pytest.fixture
def answered():
    """Status and code of an answer to a request with some headers, beyond what a client library would send."""

    def ask(client, headers: list[tuple[bytes, bytes]], path: str = "/v1/models", method: str = "GET"):
        answer = request(client, method, path, headers, [b"{}"], ends=True)
        code = answer.problem.get("code") if answer.status >= 400 and method != "HEAD" else None
        assert not (answer.asked and code == "host_not_allowed"), "its body was read"
        return answer.status, code

    return ask


@pytest.mark.parametrize("host", OWN)
def test_loopback_answers_under_its_names_and_any_port(serve, answered, host):
    assert answered(serve(allowed_hosts=""), [(b"host", host.encode())]) == (200, None)


@pytest.mark.parametrize("host", FOREIGN)
def test_loopback_answers_under_no_other_name(serve, answered, host):
    client = serve(allowed_hosts="")

    for path in ("/v1/models", "/v1/edits", "/", "/docs", "/openapi.json", "/livez", "/readyz", "/metrics", "/nothing"):
        assert answered(client, [(b"host", host.encode("latin-1"))], path) == (421, "host_not_allowed"), path
    for method in ("POST", "PUT", "DELETE", "BREW"):
        refused = answered(client, [(b"host", host.encode("latin-1"))], "/v1/edits", method)
        assert refused == (421, "host_not_allowed"), method


@pytest.mark.parametrize(
    "headers",
    [[], [(b"host", b"localhost"), (b"host", b"evil.example")], [(b"host", b"localhost"), (b"host", b"localhost")]],
)
def test_no_host_and_several_hosts_are_refused(serve, answered, headers):
    assert answered(serve(allowed_hosts=""), headers) == (421, "host_not_allowed")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://edits.example.com", "edits.example.com"),
        ("https://edits.example.com:8443/under/here", "EDITS.example.com.:443"),
        ("http://[2001:DB8::7]:8000", "[2001:db8::7]:8000"),
        ("https://b\xfccher.example", "xn--bcher-kva.example"),
        ("http://10.0.0.7", "10.0.0.7:8000"),
    ],
)
def test_the_host_of_the_public_url_is_answered(serve, answered, url, host):
    client = serve(allowed_hosts="", public_url=url)

    assert answered(client, [(b"host", host.encode())])[0] == 200
    assert answered(client, [(b"host", b"evil.example")]) == (421, "host_not_allowed")
    assert answered(client, [(b"host", b"127.0.0.1:8000")])[0] == 200


@pytest.mark.parametrize(
    ("hosts", "allowed", "refused"),
    [
        ("example.com", "example.com:80", "www.example.com"),
        ("*.example.com", "a.b.example.com", "example.com"),
        ("*.example.com", "www.Example.COM.", "wwwexample.com"),
        ("one.example 10.0.0.7", "10.0.0.7:8000", "10.0.0.8"),
        ("2001:db8::7", "[2001:db8:0::7]:8000", "[2001:db8::8]"),
        ("[2001:db8::7]", "[2001:db8::7]", "2001:db8::7"),
    ],
)
@pytest.mark.parametrize("listens_on", ["127.0.0.1", "0.0.0.0"])
def test_a_setting_allows_hosts(serve, answered, hosts, allowed, refused, listens_on):
    client = serve(allowed_hosts=hosts, host=listens_on)

    assert answered(client, [(b"host", allowed.encode())])[0] == 200
    assert answered(client, [(b"host", refused.encode())]) == (421, "host_not_allowed")
    assert answered(client, [(b"host", b"localhost:8000")])[0] == 200


def test_off_loopback_any_host_is_answered_where_none_is_set(serve, answered):
    """Nobody is let in there without a key, which a page of another name does not have."""
    assert answered(serve(allowed_hosts="", host="0.0.0.0"), [(b"host", b"whatever.example")])[0] == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
@pytest.mark.parametrize("host", ["10.244.1.17:8000", "[fd00::17]:8000", "p2p-edit-api.default.svc"])
def test_probes_name_a_pods_address(serve, answered, path, host):
    client = serve(allowed_hosts="edits.example.com", host="0.0.0.0")

    assert answered(client, [(b"host", host.encode())], path)[0] == 200
    assert answered(client, [(b"host", host.encode())]) == (421, "host_not_allowed")
    assert answered(client, [], path)[0] == 200


def test_a_prefix_hides_no_foreign_host_and_no_probe(serve, answered):
    client = serve(allowed_hosts="a.example", host="0.0.0.0", public_url="https://edits.example.com/under/here")

    for path in ("/v1/models", "/under/here/v1/models"):
        assert answered(client, [(b"host", b"evil.example")], path) == (421, "host_not_allowed")
    for path in ("/livez", "/under/here/livez"):
        assert answered(client, [(b"host", b"10.0.0.9")], path)[0] == 200


def test_a_refused_head_has_no_body(serve, answered):
    assert answered(serve(), [(b"host", b"evil.example")], "/v1/models", "HEAD")[0] == 421


@pytest.mark.parametrize(
    "text", ["http://example.com", "example.com:80", "example.com/a", "exa*mple.com", "*.", "a@b", "[::1]:80", "::g"]
)
def test_what_is_no_host_cannot_be_set(text):
    with pytest.raises(ValidationError, match="is no host"):
        Settings(allowed_hosts=f"good.example {text}")


def test_hosts_that_somebody_tries_are_remembered_to_a_bound():
    hosts = AllowedHosts([])

    for number in range(5_000):
        assert not hosts.allows(f"{number}.evil.example".encode())

    assert hosts.allows.cache_info().currsize <= 256


def test_a_long_host_is_read_once():
    """No pattern goes back: work is counted by the length of what is left to read."""
    assert host_of("a" * 100_000 + "!") == ""
    assert host_of("[" + ":" * 100_000) == ""


def test_many_headers_are_refused(serve, answered):
    many = [(b"host", b"localhost"), *((f"x-{number}".encode(), b"1") for number in range(100))]
    client = serve(allowed_hosts="")

    assert answered(client, many) == (431, "too_many_headers")
    assert answered(client, many[:100])[0] == 200


def test_a_refusal_is_a_problem_that_says_what_to_do(serve):
    problem = serve(allowed_hosts="").get("/v1/models", headers={"Host": "evil.example"})

    assert problem.headers["Content-Type"] == "application/problem+json"
    assert problem.json()["title"] == "Misdirected Request"
    assert problem.json()["instance"] == "/v1/models"
    assert "ALLOWED_HOSTS" in problem.json()["detail"]
    assert "evil.example" not in problem.text

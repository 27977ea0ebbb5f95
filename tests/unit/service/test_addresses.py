"""No URL of a stranger's leads anywhere but to public addresses, however it is written and whatever a name says."""

import asyncio
import ssl
import subprocess
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest

from process.addresses import (
    GuardedTransport,
    NoPublicAddress,
    UrlRefused,
    checked_url,
    client_to,
    host_of,
    is_public,
    literal_address,
    refuse_private,
)
from tests.patience import ANSWER
from tests.receiver import receiving

PUBLIC = ["8.8.8.8", "93.184.216.34", "172.15.255.255", "172.32.0.0", "100.63.255.255", "192.0.1.1", "223.255.255.255",
          "2606:4700:4700::1111", "2a00:1450:4001:830::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"]  # fmt: skip
NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "168.63.129.16",
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808",
    "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1",
    "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "ff0e::1", "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1", "2606:4700::1%eth0",
]  # fmt: skip

#: Ways to write an address that is not public.
LITERALS = [
    "http://127.0.0.1/", "http://127.0.0.1:8000/", "https://10.0.0.1/", "http://2130706433/", "http://017700000001/",
    "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.1/", "http://127.1/", "http://127.0.1/", "http://0/",
    "http://0x7f.1/", "http://0X7F.0x0.0x0.0x1/", "http://2852039166/", "http://0xA9FEA9FE/", "http://169.254.43518/",
    "http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:0:0:1]/",
    "http://[64:ff9b::127.0.0.1]/", "http://[2002:7f00:1::]/", "http://[fe80::1]/", "http://[fd00::1]/",
    "http://[::127.0.0.1]/",
]  # fmt: skip

REFUSED = {
    "": "url_scheme",
    "hooks.test/told": "url_scheme",
    "//hooks.test/told": "url_scheme",
    "ftp://hooks.test/": "url_scheme",
    "file:///etc/passwd": "url_scheme",
    "gopher://hooks.test/": "url_scheme",
    "javascript:alert(1)": "url_scheme",
    "http:hooks.test": "not_a_url",
    "https://./": "not_a_url",
    "https://a..b/": "not_a_url",
    "https://%00.test": "not_a_url",
    f"https://{'a' * 64}.test/": "not_a_url",
    f"https://{'a.' * 127}test/": "not_a_url",
    "https://-a.test/": "not_a_url",
    "http://": "not_a_url",
    "http:///told": "not_a_url",
    "http://hooks.test:0/": "not_a_url",
    "http://hooks.test:99999/": "not_a_url",
    "http://[::1/": "not_a_url",
    "http://0177.0.0.1/": "not_a_url",
    "http://hooks.test/\n": "not_a_url",
    "http://hooks.test\x00.evil.test/": "not_a_url",
    "http://user@hooks.test/": "url_credentials",
    "http://user:password@hooks.test/": "url_credentials",
    "http://8.8.8.8:80@127.0.0.1/": "url_credentials",
    "http://hooks.test/" + "x" * 2048: "too_long",
}


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_public(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_known_in_every_form(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(("text", "code"), REFUSED.items(), ids=[repr(text[:40]) for text in REFUSED])
def test_a_url_that_cannot_be_called_is_refused_with_a_code(text, code):
    with pytest.raises(UrlRefused) as caught:
        checked_url(text)

    assert caught.value.code == code


@pytest.mark.parametrize("text", LITERALS)
def test_a_private_address_is_refused_however_it_is_written(text):
    with pytest.raises(UrlRefused) as caught:
        refuse_private(checked_url(text))

    assert caught.value.code == "private_address"


@pytest.mark.parametrize(
    "text", ["https://8.8.8.8/", "http://134744072/", "http://[2606:4700:4700::1111]:8443/", "http://hooks.test/"]
)
def test_a_public_address_or_a_name_is_not_refused_unasked(text):
    refuse_private(checked_url(text))


def test_a_name_is_no_literal_address():
    assert literal_address(httpx.URL("http://fade.cafe/")) is None


class Answers:
    """A resolver that gives one answer after the other, and a transport that notes what it is given."""

    def __init__(self, *answers: Sequence[str], fails: Sequence[str] = ()) -> None:
        self.answers, self.fails = list(answers), fails
        self.called: list[httpx.Request] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        if not self.answers:
            raise OSError("no such name")
        return self.answers.pop(0)

    def send(self, request: httpx.Request) -> httpx.Response:
        self.called.append(request)
        if request.url.host in self.fails:
            raise httpx.ConnectError("refused")
        return httpx.Response(204)

    def post(self, url: str, *, private: bool = False) -> httpx.Response:
        async def posted() -> httpx.Response:
            transport = GuardedTransport(
                private=private, resolve=self.resolve, transport=httpx.MockTransport(self.send)
            )
            async with client_to(transport, timeout=ANSWER) as client:
                return await client.post(url, content=b"{}")

        return asyncio.run(posted())


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"], ["10.1.2.3"], ["::1"], ["fd12::1"], ["169.254.169.254"], ["fe80::1%eth0"],
        ["::ffff:192.168.0.1"], ["64:ff9b::10.0.0.1"], ["2002:a00:1::"],
        ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["2606:4700:4700::1111", "10.0.0.1"],
    ],
)  # fmt: skip
def test_a_name_with_an_address_that_is_not_public_is_not_called(answer):
    answers = Answers(answer)

    with pytest.raises(NoPublicAddress):
        answers.post("https://hooks.test/")

    assert answers.called == []


def test_a_name_without_an_address_is_told_from_a_private_one_by_nobody():
    with pytest.raises(NoPublicAddress) as unknown:
        Answers().post("https://hooks.test/")
    with pytest.raises(NoPublicAddress) as private:
        Answers(["10.0.0.1"]).post("https://hooks.test/")
    with pytest.raises(NoPublicAddress) as empty:
        Answers([]).post("https://hooks.test/")

    assert str(unknown.value) == str(private.value) == str(empty.value)


@pytest.mark.parametrize("url", LITERALS)
def test_the_machines_own_resolver_gives_no_private_address_away(url):
    """Not only where a URL is taken, but where it is called: the real resolver reads all these forms."""

    async def get() -> None:
        async with client_to(GuardedTransport(), timeout=ANSWER) as client:
            await client.get(url)

    with pytest.raises(NoPublicAddress):
        asyncio.run(get())


def test_the_call_goes_to_the_address_that_was_checked_and_bears_the_name():
    answers = Answers(["93.184.216.34"], ["127.0.0.1"])

    answers.post("https://hooks.test:8443/told?by=us")

    (request,) = answers.called
    assert str(request.url) == "https://93.184.216.34:8443/told?by=us"
    assert request.headers["Host"] == "hooks.test:8443"
    assert request.extensions["sni_hostname"] == "hooks.test"
    assert answers.answers == [["127.0.0.1"]]  # the name was asked for once: what it says next does not matter


def test_an_address_of_version_6_is_called_in_brackets():
    answers = Answers(["2606:4700:4700::1111"])

    answers.post("http://hooks.test/")

    assert str(answers.called[0].url) == "http://[2606:4700:4700::1111]/"


def test_the_next_address_is_called_where_one_takes_no_connection():
    answers = Answers(["8.8.8.8", "8.8.4.4"], fails=["8.8.8.8"])

    assert answers.post("https://hooks.test/").status_code == 204

    assert [request.url.host for request in answers.called] == ["8.8.8.8", "8.8.4.4"]


def test_a_private_address_is_called_where_that_is_allowed():
    assert Answers(["127.0.0.1"]).post("https://hooks.test/", private=True).status_code == 204


def test_no_redirect_is_followed_and_no_proxy_is_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")

    async def posted(url: str) -> httpx.Response:
        async with client_to(GuardedTransport(private=True), timeout=ANSWER) as client:
            return await client.post(url, content=b"{}")

    with receiving() as inside, receiving(status=302, headers={"Location": inside.url}) as receiver:
        assert asyncio.run(posted(receiver.url)).status_code == 302

    assert (len(receiver.got), inside.got) == (1, [])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate of hooks.test with its key."""
    file = tmp_path_factory.mktemp("tls") / "hooks.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hooks.test"
    names = ["-addext", "subjectAltName=DNS:hooks.test", "-keyout", str(file), "-out", str(file)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return file


def over_tls(certificate: Path, name: str) -> tuple[list[str | None], list]:
    """The names that a TLS server was asked for, and what it got, when `name` is called at its address."""
    there, here = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context(cafile=certificate)
    there.load_cert_chain(certificate)
    asked: list[str | None] = []
    there.sni_callback = lambda _, server_name, __: asked.append(server_name)

    async def at_home(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def posted(url: str) -> None:
        inner = httpx.AsyncHTTPTransport(verify=here, limits=httpx.Limits(max_keepalive_connections=0))
        transport = GuardedTransport(private=True, resolve=at_home, transport=inner)
        async with client_to(transport, timeout=ANSWER) as client:
            (await client.post(url, content=b"{}")).raise_for_status()

    with receiving(there) as receiver:
        asyncio.run(posted(receiver.url.replace("127.0.0.1", name)))
    return asked, receiver.got


def test_tls_asks_for_the_name_and_checks_it_at_the_pinned_address(certificate):
    asked, got = over_tls(certificate, "hooks.test")

    assert asked == ["hooks.test"]
    assert got[0].headers["host"].startswith("hooks.test:")


def test_a_certificate_of_another_name_is_refused_at_the_pinned_address(certificate):
    with pytest.raises(httpx.ConnectError, match="certificate"):
        over_tls(certificate, "other.test")


@pytest.mark.parametrize("host", ["xn--ls8h.la", "xn--a.com", "_dmarc.hooks.test", "hooks.test.", "a-b.test"])
def test_a_name_that_dns_can_have_is_taken_whatever_it_decodes_to(host):
    url = checked_url(f"https://{host}/told")

    refuse_private(url)
    assert host_of(url) == host

"""Where a URL that a stranger gave may lead: to public addresses only, each checked right before it is called.

Rules.
1. A name is resolved here, once for each request (`process.lookups`); every address it has must be public, or none is
   called.
2. The connection goes to an address that was checked, never to the name again: a name whose answer changes between the
   check and the call (DNS rebinding) gains nothing. `Host` and TLS keep the name.
3. Nothing is followed here: no redirect, no proxy from the environment. Who makes a client sees to it (`client_to`);
   who follows a redirect checks it as a new URL (`picture_files.by_url`).
4. One parser (httpx's) reads a URL, for the check and for the call.

What is not public stands in IANA's special-purpose registries (RFC 6890) and below.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import ClassVar

import httpx

from process.lookups import Lookups, Resolve, resolved
from process.refusal import Refusal

#: Longer ones are refused: no server reads them reliably, and every record would hold it.
MAX_CHARACTERS = 2048

Address = IPv4Address | IPv6Address

_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network; 0.0.0.0 is this machine
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a carrier's NAT; some clouds keep their metadata here
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; most clouds keep their metadata here
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, given up
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved; broadcast
        "168.63.129.16/32",  # registered as public, and in Azure the host that every machine can reach
    )
)
#: All that is handed out as global unicast; everything else is refused unread.
_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, with Teredo, which holds an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address; given up (RFC 7526)
        "3fff::/20",  # documentation
    )
)
#: Where only IPv6 is spoken, every IPv4 address is reached through this prefix (RFC 6052): it is as public as what it
#: holds. The prefix for local use, 64:ff9b:1::/48, is not.
_NAT64 = IPv6Network("64:ff9b::/96")
#: An interface's own half of an address that holds an IPv4 address (ISATAP, RFC 5214).
_ISATAP = (0x00005EFE, 0x02005EFE)


class UrlRefused(Refusal, ValueError):
    """A URL that will not be called.

    Attributes:
        code: stable.
    """


class NoPublicAddress(httpx.ConnectError):
    """A name that has no address, or none that is public: the answer does not say which, for names inside are secret.

    Subclasses `httpx.ConnectError`, so that existing handlers catch it.
    """

    code: ClassVar[str] = "no_public_address"

    def __init__(self, host: str, request: httpx.Request) -> None:
        super().__init__(f"{host} has no public address", request=request)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, and holds none that is not."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _NAT64:
        return is_public(last)
    if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP and not is_public(last):
        return False
    return address in _UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


#: Letters, digits, hyphens, and the underscore that some names have.
_LABEL = re.compile(rb"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def checked_url(text: str) -> httpx.URL:
    """A URL as far as it can be judged without asking anybody: http or https, a host, no credentials.

    Raises:
        UrlRefused: with what to do.
    """
    if len(text) > MAX_CHARACTERS:
        raise UrlRefused("too_long", f"takes at most {MAX_CHARACTERS} characters: shorten it")
    try:
        url = httpx.URL(text)
        host = url.raw_host
    except (httpx.InvalidURL, UnicodeError) as error:
        raise UrlRefused("not_a_url", "cannot be read as a URL: correct it") from error
    if url.scheme not in ("http", "https"):
        raise UrlRefused("url_scheme", "begins neither with https:// nor with http://: use one of them")
    if url.userinfo:
        raise UrlRefused("url_credentials", "holds a user or a password: leave them out, what is sent is signed")
    if not _is_host(host) or (url.port is not None and not 0 < url.port < 65536):
        raise UrlRefused("not_a_url", "names no host and port that can be called: correct it")
    return url


def host_of(url: httpx.URL) -> str:
    """A URL's host as it is sent: a name in its ASCII form. `url.host` fails for names that IDNA 2008 does not know."""
    return url.raw_host.decode("ascii").strip("[]")


def _is_host(raw: bytes) -> bool:
    """Whether it is an address, or a name that DNS can have (RFC 1035, 2.3.4): 63 bytes a label, 253 in all."""
    if b":" in raw:
        return True  # httpx has read it as an IPv6 address
    name = raw.removesuffix(b".")
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split(b"."))


def literal_address(url: httpx.URL) -> Address | None:
    """The address that a URL names in place of a host; None if it names a host.

    Also in the forms that C's libraries take for addresses: 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1.
    """
    host = host_of(url)
    try:
        return ip_address(host)
    except ValueError:
        if not re.fullmatch(r"[0-9a-fA-FxX.]+", host):
            return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def refuse_private(url: httpx.URL) -> None:
    """Raises `UrlRefused` for a URL that names an address which is not public; of a name nothing is known yet."""
    address = literal_address(url)
    if address is not None and not is_public(address):
        raise UrlRefused("private_address", f"{host_of(url)} is no public address: use one, or a name")


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx's transport, behind the rules above.

    Args:
        private: whether addresses that are not public may be called as well: for development and tests.
        resolve: gives a name's addresses.
        transport: what carries a request; it must keep no connections, for one that was made to an address under
            another name was made with that name's certificate.
    """

    def __init__(
        self,
        *,
        private: bool = False,
        resolve: Resolve = resolved,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._private, self._lookups = private, Lookups(resolve)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._inner = transport or httpx.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the first checked address that takes connections.

        Its extension `owner` says for whom: names of one owner are looked up beside those of the others.

        Raises:
            NoPublicAddress: before anything was called.
            httpx.TransportError: as httpx does.
        """
        last: httpx.TransportError = NoPublicAddress(host_of(request.url), request)
        for address in await self._checked(request):
            try:
                return await self._inner.handle_async_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                last = error  # nothing was sent: another address may do
        raise last

    async def _checked(self, request: httpx.Request) -> Sequence[Address]:
        url = request.url
        port = url.port or {"https": 443}.get(url.scheme, 80)
        try:
            owner = request.extensions.get("owner", "")
            found = [ip_address(text) for text in await self._lookups.addresses(host_of(url), port, owner)]
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"{host_of(url)} was not looked up in time", request=request) from error
        except (OSError, UnicodeError) as error:
            raise NoPublicAddress(host_of(url), request) from error
        if not self._private and not all(map(is_public, found)):
            raise NoPublicAddress(host_of(url), request)
        return found

    async def aclose(self) -> None:
        """Close what carries the requests."""
        await self._inner.aclose()


def _pinned(request: httpx.Request, address: Address) -> httpx.Request:
    """A request to an address, that says and checks the name it was made for; its `Host` is written already."""
    extensions = dict(request.extensions)
    if literal_address(request.url) is None:
        extensions["sni_hostname"] = request.url.raw_host.decode("ascii")
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions=extensions,
    )


def client_to(transport: httpx.AsyncBaseTransport, *, timeout: float) -> httpx.AsyncClient:
    """A client that follows nothing and asks the environment nothing; `timeout` seconds for each wait."""
    return httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)

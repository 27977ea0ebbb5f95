"""Which hosts a request may name in its Host header: a name that somebody else controls must not lead here.

A web page may have its own name resolve to 127.0.0.1 once it is loaded (DNS rebinding). To the browser the service is
then of the page's own origin, and the page can read and send anything. Only the Host header shows it: it holds the
page's name. So an API that listens on loopback, where no key may be needed, answers under
loopback names and under the host of `PUBLIC_URL` only. One that listens elsewhere lets nobody in without a key, and a
page that does not have the key gains nothing: it answers under any host, unless `ALLOWED_HOSTS` says otherwise.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address, ip_address
from urllib.parse import urlsplit

ANY = "*"
#: A Host header (RFC 9110, 7.2): a name, an IPv4 address or an IPv6 address in brackets, and a port perhaps.
_HEADER = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::[0-9]*)?", re.IGNORECASE)
#: Host headers whose judgement is remembered, so that to judge one costs less than a microsecond.
_REMEMBERED = 256


def host_of(header: str) -> str:
    """The host in a Host header: in lower case, without port, brackets and the dot of the root; "" where it is none."""
    found = _HEADER.fullmatch(header)
    if found is None:
        return ""
    if found[1] is not None:
        try:
            return str(IPv6Address(found[1]))
        except AddressValueError:
            return ""
    return found[2].lower().removesuffix(".")


def is_loopback(host: str) -> bool:
    """Whether a host, as `host_of` gives it, is this machine whatever a name server says (RFC 6761, 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def checked_hosts(text: str) -> Sequence[str]:
    """Hosts separated by spaces: names, addresses, "*.example.com" for all below a name, "*" for any.

    Raises:
        ValueError: one is none, with what to write instead.
    """
    hosts = []
    for given in text.split():
        star, name = ("*.", given[2:]) if given.startswith("*.") else ("", given)
        host = ANY if given == ANY else named(name)
        if not host:
            example = '"example.com", "*.example.com" or "10.0.0.7"'
            raise ValueError(f"{given!r} is no host: write one such as {example}, without scheme, port and path")
        hosts.append(star + host)
    return hosts


def named(name: str) -> str:
    """A name or an address without a port, as `host_of` gives it; "" where it is none."""
    # An IPv6 address may come without its brackets.
    header = f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else _ascii(name)
    return "" if re.search(r":[0-9]*$", header) else host_of(header)


def _ascii(name: str) -> str:
    """A name as browsers send it."""
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name


class AllowedHosts:
    """The hosts that a request may name.

    Args:
        hosts: as `checked_hosts` gives them; loopback names are always among them.
        public_url: whose host is among them as well; may be empty.
    """

    def __init__(self, hosts: Sequence[str], public_url: str = "") -> None:
        self.are_all = ANY in hosts
        self._hosts = {*hosts, named(urlsplit(public_url).hostname or "")}
        self._below = tuple(host[1:] for host in hosts if host.startswith("*."))
        self.allows = lru_cache(_REMEMBERED)(self._allows)

    def _allows(self, header: bytes) -> bool:
        """Whether a Host header may be answered."""
        host = host_of(header.decode("latin-1"))
        if not host:
            return False
        return self.are_all or host in self._hosts or host.endswith(self._below) or is_loopback(host)

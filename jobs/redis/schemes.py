"""How each kind of REDIS_URL is connected. The one place that reads such a URL; what is wrong with one, and is said
before anything connects, is `process.redis_url`'s.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

import redis
import redis.asyncio
from redis.connection import parse_url

from jobs.redis import wires
from jobs.redis.sentinels import Sentinels
from process import sentinel_url
from process.redis_url import YES
from process.sentinel_url import OWN


class Scheme(NamedTuple):
    """How a kind of URL is connected.

    Attributes:
        blocking: the class of its connections.
        awaiting: the same for asyncio.
        read: what they are made with.
    """

    blocking: type
    awaiting: type
    read: Callable[[str], dict[str, Any]]


def _sentinels(url: str) -> dict[str, Any]:
    parts = sentinel_url.parsed(url)
    options = dict(parse_qsl(parts.query))
    own = {name.removeprefix(OWN): options.pop(name) for name in list(options) if name.startswith(OWN)}
    is_tls = parts.scheme.startswith("rediss")
    # As redis-py reads the URL of a single server, but for its address, which the Sentinels know.
    scheme = "rediss" if is_tls else "redis"
    how = _read(f"{scheme}://primary/{parts.database}?{urlencode(options)}")
    del how["host"]
    user, _, password = parts.user.removesuffix("@").partition(":")
    how |= {name: unquote(value) for name, value in (("username", user), ("password", password)) if value}
    theirs: dict[str, Any] = {name: own[name] for name in ("username", "password") if name in own}
    if own["tls"].lower() in YES if "tls" in own else is_tls:
        of_tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
        of_tls |= {name: value for name, value in own.items() if name.startswith("ssl_")}
        theirs |= {"ssl": True, **_read(f"rediss://sentinel?{urlencode(of_tls)}")}
        del theirs["host"]
    return {**how, "sentinels": Sentinels(parts.sentinels, unquote(parts.name), theirs)}


def _read(url: str) -> dict[str, Any]:
    """What redis-py makes of a URL, but for the class of its connections."""
    return {name: value for name, value in parse_url(url).items() if name != "connection_class"}


SCHEMES: Mapping[str, Scheme] = {
    "redis": Scheme(wires.TcpConnection, wires.AsyncTcpConnection, _read),
    "rediss": Scheme(wires.TlsConnection, wires.AsyncTlsConnection, _read),
    "unix": Scheme(wires.SocketConnection, wires.AsyncSocketConnection, _read),
    "redis+sentinel": Scheme(wires.TcpToPrimary, wires.AsyncTcpToPrimary, _sentinels),
    "rediss+sentinel": Scheme(wires.TlsToPrimary, wires.AsyncTlsToPrimary, _sentinels),
}


def scheme_of(url: str) -> Scheme:
    """How a URL is connected, which `process.redis_url` has checked."""
    return SCHEMES[url.partition(":")[0]]


def client(url: str, **how: Any) -> redis.Redis:
    """A blocking client; what the URL says goes before `how`."""
    kind = scheme_of(url)
    given = {**how, **kind.read(url), "connection_class": kind.blocking}
    return redis.Redis.from_pool(redis.ConnectionPool(**given))


def async_client(url: str, **how: Any) -> redis.asyncio.Redis:
    """A client for asyncio; what the URL says goes before `how`."""
    kind = scheme_of(url)
    given = {**how, **kind.read(url), "connection_class": kind.awaiting}
    return redis.asyncio.Redis.from_pool(redis.asyncio.ConnectionPool(**given))

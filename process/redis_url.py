"""REDIS_URL, checked before anything connects: one Redis server, over TCP, TLS or a Unix socket.

    redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]
    rediss://...                                    over TLS; ?ssl_ca_certs=FILE for a certificate of one's own
    unix://[USER:PASSWORD@]/PATH/TO/SOCKET[?db=DATABASE]

redis-py itself takes much of what is wrong in silence: a path that is no number is database 0, a missing host is this
machine, and an option that it does not know fails where the first connection is made.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from process.masked import masked, masked_name

NEEDED = "redis://HOST:PORT/DATABASE, rediss://... for TLS, or unix:///PATH/TO/SOCKET"
#: Other ways to name several servers, which no part of this service can use.
_SEVERAL = ("sentinel", "cluster")


def _number(value: str) -> bool:
    return value.isdecimal() and len(value) < 10


def _seconds(value: str) -> bool:
    return re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value) is not None


def _yes_or_no(value: str) -> bool:
    return value.lower() in {"true", "false", "yes", "no", "1", "0"}


def _file(value: str) -> bool:
    return Path(value).is_file()


def _folder(value: str) -> bool:
    return Path(value).is_dir()


def _text(value: str) -> bool:
    return bool(value)


#: Options that a URL may have, what their values must be, and how that is said. All others would reach redis-py's
#: connections as arguments, or change what this service sets itself.
OPTIONS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "db": (_number, "a number"),
    "protocol": (lambda value: value in {"2", "3"}, "2 or 3"),
    "client_name": (_text, "a name"),
    "health_check_interval": (_number, "a number of seconds"),
    "socket_timeout": (_seconds, "a number of seconds"),
    "socket_connect_timeout": (_seconds, "a number of seconds"),
    "socket_keepalive": (_yes_or_no, "true or false"),
}
TLS_OPTIONS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "ssl_ca_certs": (_file, "a file that is there"),
    "ssl_ca_path": (_folder, "a folder that is there"),
    "ssl_certfile": (_file, "a file that is there"),
    "ssl_keyfile": (_file, "a file that is there"),
    "ssl_cert_reqs": (lambda value: value in {"none", "optional", "required"}, "none, optional or required"),
    "ssl_check_hostname": (_yes_or_no, "true or false"),
}


def checked_redis_url(url: str) -> str:
    """The URL, if it names one Redis server.

    Raises:
        ValueError: it does not; the message says what was given, without passwords, and what is needed.
    """
    if not url.strip():
        raise ValueError(f"it is empty; give {NEEDED}")
    if reason := _wrong(url):
        raise ValueError(f"{masked(url)!r}: {reason}")
    return url


def _wrong(url: str) -> str | None:
    """What is wrong with a URL; None for nothing."""
    scheme, separator, _ = url.partition("://")
    if any(word in scheme.lower() for word in _SEVERAL):
        return f"Redis Sentinel and Redis Cluster are not supported; give one server: {NEEDED}"
    if not separator:
        return f"it has no scheme; give {NEEDED}"
    if scheme.lower() not in {"redis", "rediss", "unix"}:
        return f"the scheme {scheme}:// is not Redis's; give {NEEDED}"
    if scheme != scheme.lower() or re.search(r"\s", url):
        return "the scheme must be in small letters, and no spaces may be in it; write %20 for one in a password"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the host cannot be read; an IPv6 address stands in brackets: redis://[::1]:6379/0"
    if parts.fragment or "#" in url:
        return "there is a # in it; write %23 for one in a password"
    place = _wrong_socket(parts) if parts.scheme == "unix" else _wrong_host(parts)
    return place or _wrong_options(parts)


def _wrong_socket(parts: SplitResult) -> str | None:
    if parts.netloc.rpartition("@")[2] or not parts.path.strip("/"):
        return "the path of the socket is missing; give unix:///PATH/TO/SOCKET, with three slashes"
    return None


def _wrong_host(parts: SplitResult) -> str | None:
    address = parts.netloc.rpartition("@")[2]
    if "," in address:
        return f"it names several servers; give one: {NEEDED}"
    if not parts.hostname:
        return f"the host is missing; give {NEEDED}"
    host = re.fullmatch(r"(\[[0-9A-Fa-f:.%A-Za-z0-9]+\]|[^\[\]:]+)(:.*)?", address)
    if host is None:
        return "the host cannot be read; write %2F, %3A and %40 for / : and @ in a password"
    port = (host[2] or "").removeprefix(":")
    if host[2] is not None and not (_number(port) and 0 < int(port) < 65536):
        return "the port must be a number from 1 to 65535; write %2F, %3A and %40 for / : and @ in a password"
    database = parts.path.removeprefix("/")
    if database and not _number(database):
        return "the path must be the number of a database, such as /0"
    return None


def _wrong_options(parts: SplitResult) -> str | None:
    known = {**OPTIONS, **(TLS_OPTIONS if parts.scheme == "rediss" else {})}
    seen: set[str] = set()
    for part in filter(None, parts.query.split("&")):
        name, _, value = part.partition("=")
        if name in TLS_OPTIONS and name not in known:
            return f"the option {name} needs rediss://"
        if name not in known:
            return f"the option {masked_name(name)} is not known; known are {', '.join(known)}"
        if name in seen:
            return f"the option {name} is given twice"
        seen.add(name)
        is_right, needed = known[name]
        if not is_right(unquote(value)):
            return f"the option {name} must be {needed}"
    if "db" in seen and parts.scheme != "unix" and parts.path.strip("/"):
        return "the database is given twice, as path and as db"
    return None

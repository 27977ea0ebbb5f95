"""REDIS_URL, checked before anything connects: one Redis server, or the Sentinels that know which one it is.

    redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]
    rediss://...                                    over TLS; ?ssl_ca_certs=FILE for a certificate of one's own
    unix://[USER:PASSWORD@]/PATH/TO/SOCKET[?db=DATABASE]
    redis+sentinel://...                            see `process.sentinel_url`
    rediss+sentinel://...                           over TLS to the servers and to the Sentinels

A kind of URL is a row of `SCHEMES` here, and one of `jobs.redis.schemes`, which says how it is connected.

redis-py itself takes much of what is wrong in silence: a path that is no number is database 0, a missing host is this
machine, and an option that it does not know fails where the first connection is made.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from process import sentinel_url
from process.masked import masked, masked_name
from process.sentinel_url import OWN

NEEDED = (
    "redis://HOST:PORT/DATABASE, rediss://... for TLS, unix:///PATH/TO/SOCKET, "
    "or redis+sentinel://HOST:26379,HOST:26379/NAME/0"
)
#: Another way to name several servers, which no part of this service can use.
_SHARDED = "cluster"


def _number(value: str) -> bool:
    return value.isdecimal() and len(value) < 10


def _seconds(value: str) -> bool:
    return re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value) is not None


#: What is read as yes; redis-py reads "false", "no" and "0" as no.
YES = {"true", "yes", "1"}


def _yes_or_no(value: str) -> bool:
    return value.lower() in YES | {"false", "no", "0"}


def _file(value: str) -> bool:
    return Path(value).is_file()


def _folder(value: str) -> bool:
    return Path(value).is_dir()


def _text(value: str) -> bool:
    return bool(value)


Option = tuple[Callable[[str], bool], str]
#: Options that a URL may have, what their values must be, and how that is said. All others would reach redis-py's
#: connections as arguments, or change what this service sets itself.
OPTIONS: Mapping[str, Option] = {
    "db": (_number, "a number"),
    "protocol": (lambda value: value in {"2", "3"}, "2 or 3"),
    "client_name": (_text, "a name"),
    "health_check_interval": (_number, "a number of seconds"),
    "socket_timeout": (_seconds, "a number of seconds"),
    "socket_connect_timeout": (_seconds, "a number of seconds"),
    "socket_keepalive": (_yes_or_no, "true or false"),
}
TLS_OPTIONS: Mapping[str, Option] = {
    "ssl_ca_certs": (_file, "a file that is there"),
    "ssl_ca_path": (_folder, "a folder that is there"),
    "ssl_certfile": (_file, "a file that is there"),
    "ssl_keyfile": (_file, "a file that is there"),
    "ssl_cert_reqs": (lambda value: value in {"none", "optional", "required"}, "none, optional or required"),
    "ssl_check_hostname": (_yes_or_no, "true or false"),
}
#: What the Sentinels need: a login of their own, whether they speak TLS where that is not as the scheme says, and
#: options of TLS where they are others than those of the servers.
SENTINEL_OPTIONS: Mapping[str, Option] = {
    f"{OWN}username": (_text, "a name"),
    f"{OWN}password": (_text, "a password"),
    f"{OWN}tls": (_yes_or_no, "true or false"),
    **{f"{OWN}{name}": option for name, option in TLS_OPTIONS.items()},
}


class Scheme(NamedTuple):
    """A kind of URL.

    Attributes:
        wrong: what is wrong with a URL before its options; None for nothing.
        options: those that it may have.
    """

    wrong: Callable[[str], str | None]
    options: Mapping[str, Option]


def checked_redis_url(url: str) -> str:
    """The URL, if it names one Redis server, or Sentinels and their primary.

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
    if _SHARDED in scheme.lower():
        return f"Redis Cluster is not supported; give {NEEDED}"
    if not separator:
        return f"it has no scheme; give {NEEDED}"
    if scheme.lower() not in SCHEMES:
        return f"the scheme {scheme}:// is not Redis's; give {NEEDED}"
    if scheme != scheme.lower() or re.search(r"\s", url):
        return "the scheme must be in small letters, and no spaces may be in it; write %20 for one in a password"
    if "#" in url:
        return "there is a # in it; write %23 for one in a password"
    kind = SCHEMES[scheme]
    return kind.wrong(url) or _wrong_options(url.partition("?")[2], kind.options)


def _wrong_socket(url: str) -> str | None:
    parts = urlsplit(url)
    if parts.netloc.rpartition("@")[2] or not parts.path.strip("/"):
        return "the path of the socket is missing; give unix:///PATH/TO/SOCKET, with three slashes"
    return None


def _wrong_host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the host cannot be read; an IPv6 address stands in brackets: redis://[::1]:6379/0"
    address = parts.netloc.rpartition("@")[2]
    if "," in address:
        return f"it names several servers; give one, or Sentinels: {NEEDED}"
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
    if database and re.search(r"[?&]db=", url):
        return "the database is given twice, as path and as db"
    return None


def _wrong_sentinels(url: str) -> str | None:
    try:
        parts = sentinel_url.parsed(url)
    except ValueError as error:
        return str(error)
    if parts.database and re.search(r"(^|&)db=", parts.query):
        return "the database is given twice, as path and as db"
    tls = re.search(rf"(?:^|&){OWN}tls=([^&]*)", parts.query)
    speak = parts.scheme.startswith("rediss") if tls is None else tls[1].lower() in YES
    if not speak and f"{OWN}ssl_" in parts.query:
        return f"the options {OWN}ssl_... need rediss+sentinel:// or {OWN}tls=true"
    return None


SCHEMES: Mapping[str, Scheme] = {
    "redis": Scheme(_wrong_host, OPTIONS),
    "rediss": Scheme(_wrong_host, {**OPTIONS, **TLS_OPTIONS}),
    "unix": Scheme(_wrong_socket, OPTIONS),
    "redis+sentinel": Scheme(_wrong_sentinels, {**OPTIONS, **SENTINEL_OPTIONS}),
    "rediss+sentinel": Scheme(_wrong_sentinels, {**OPTIONS, **TLS_OPTIONS, **SENTINEL_OPTIONS}),
}


def _wrong_options(query: str, known: Mapping[str, Option]) -> str | None:
    seen: set[str] = set()
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name in TLS_OPTIONS and name not in known:
            return f"the option {name} needs rediss://"
        if name in SENTINEL_OPTIONS and name not in known:
            return f"the option {name} needs redis+sentinel://"
        if name not in known:
            return f"the option {masked_name(name)} is not known; known are {', '.join(known)}"
        if name in seen:
            return f"the option {name} is given twice"
        seen.add(name)
        is_right, needed = known[name]
        if not is_right(unquote(value)):
            return f"the option {name} must be {needed}"
    return None

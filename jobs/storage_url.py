"""STORAGE_URL where it names an S3 server: read once, and refused where part of it would be ignored.

    s3+http://KEY:SECRET@HOST[:PORT]/BUCKET[/PREFIX][?OPTIONS]    s3+https://... likewise

Key, secret, prefix and options are percent-encoded, once. A + is a plus everywhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from jobs.errors import InvalidStorage
from process.masked import masked, masked_name

#: What an option says, by its name.
OPTIONS: Mapping[str, str] = {
    "region": "the region that requests are signed for; us-east-1 where absent",
    "public": "where clients reach the storage, such as https://files.example.com; URLs are signed for it",
    "session_token": "of temporary credentials",
}
#: Characters of a bucket's name, as S3 has them.
SHORTEST, LONGEST = 3, 63
NEEDED = "s3+http://KEY:SECRET@HOST:PORT/BUCKET/PREFIX"


@dataclass(frozen=True)
class S3Address:
    """An S3 server and a place on it; everything is decoded.

    Attributes:
        endpoint: http://HOST:PORT, as workers reach it.
        public: the same, as clients reach it.
        prefix: of every object; "" for none.
    """

    endpoint: str
    public: str
    bucket: str
    prefix: str
    key: str
    secret: str
    region: str | None
    session_token: str | None


def s3_address(url: str) -> S3Address:
    """What a URL of the kind above says.

    Raises:
        InvalidStorage: it cannot be read, or something is missing or unknown.
    """
    parts = split(url)
    options = options_of(url, parts, OPTIONS)
    bucket, _, prefix = parts.path.strip("/").partition("/")
    given = {"the key": parts.username, "the secret": parts.password, "the host": parts.hostname, "the bucket": bucket}
    if missing := [name for name, value in given.items() if not value]:
        verb = "is" if len(missing) == 1 else "are"
        raise InvalidStorage(f"{' and '.join(missing)} {verb} missing in {masked(url)!r}; give {NEEDED}")
    if reason := _wrong_bucket(bucket):
        raise InvalidStorage(f"the name of the bucket in {masked(url)!r} {reason}")
    endpoint = f"{parts.scheme.removeprefix('s3+')}://{_address(parts)}"
    return S3Address(
        endpoint=endpoint,
        public=_public(url, options["public"]) if "public" in options else endpoint,
        bucket=bucket,
        prefix=prefix_of(url, prefix),
        key=decoded(url, parts.username or ""),
        secret=decoded(url, parts.password or ""),
        region=options.get("region"),
        session_token=options.get("session_token"),
    )


def split(url: str) -> SplitResult:
    """A URL's parts; raises `InvalidStorage` where it cannot be read."""
    if re.search(r"\s", url):
        raise InvalidStorage(f"there is a space in {masked(url)!r}; write %20 for it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        hint = "the port must be a number and an IPv6 address stand in brackets"
        raise InvalidStorage(f"{masked(url)!r}: {hint}; write %2F, %40 and %3A for / @ and : in a secret") from error
    if port == 0 or parts.netloc.endswith(":"):
        raise InvalidStorage(f"{masked(url)!r}: the port must be a number from 1 to 65535")
    if "#" in url:
        raise InvalidStorage(f"there is a # in {masked(url.partition('#')[0])!r}...; write %23 for one in a secret")
    return parts


def options_of(url: str, parts: SplitResult, known: Mapping[str, str]) -> Mapping[str, str]:
    """The options of a URL, decoded; raises `InvalidStorage` for one that is not known, is empty or given twice."""
    options: dict[str, str] = {}
    for part in filter(None, parts.query.split("&")):
        # Not `parse_qs`: it takes a + for a space, and session tokens have many.
        name, _, value = part.partition("=")
        if name not in known:
            known_ones = f"known are {', '.join(known)}" if known else "such a URL has none"
            raise InvalidStorage(f"the option {masked_name(name)} is not known; {known_ones}")
        if name in options:
            raise InvalidStorage(f"the option {name} is given twice")
        if not value:
            raise InvalidStorage(f"the option {name} is empty; it is {known[name]}")
        options[name] = decoded(url, value)
    if not re.fullmatch(r"[A-Za-z0-9-]+", options.get("region", "us-east-1")):
        raise InvalidStorage("the option region may have letters, digits and - alone")
    return options


def prefix_of(url: str, path: str) -> str:
    """A prefix, decoded; raises `InvalidStorage` for one that storages read in different ways."""
    prefix = decoded(url, path).strip("/")
    if prefix and (any(part in ("", ".", "..") for part in prefix.split("/")) or not prefix.isprintable()):
        raise InvalidStorage(f"the prefix in {masked(url)!r} has an empty part, a . or .. or a control character in it")
    return prefix


def decoded(url: str, text: str) -> str:
    """A text without percent-encoding; raises `InvalidStorage` where that is no UTF-8."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidStorage(f"the percent-encoding in {masked(url)!r} is not UTF-8") from error


def _wrong_bucket(name: str) -> str | None:
    """The rule of S3 that a bucket's name breaks; None for none."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        return "may have letters, digits and . _ - alone"
    if not re.match(r"[A-Za-z0-9]", name):
        return "must begin with a letter or a digit"
    if not SHORTEST <= len(name) <= LONGEST:
        return f"must have {SHORTEST} to {LONGEST} characters; it has {len(name)}"
    return None


def _address(parts: SplitResult) -> str:
    """Host and port; an IPv6 address keeps its brackets."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}" if parts.port is None else f"{host}:{parts.port}"


def _public(url: str, address: str) -> str:
    try:
        parts = urlsplit(address)
        is_one = parts.scheme in {"http", "https"} and parts.hostname and not parts.query and not parts.username
        if is_one and not re.search(r"\s", address) and (parts.port is None or parts.port):
            return address.rstrip("/")
    except ValueError:
        pass
    raise InvalidStorage(f"the option public of {masked(url)!r} must be http:// or https:// and a host")

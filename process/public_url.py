"""`PUBLIC_URL`: where clients reach the API, with the path before its addresses that a proxy takes off."""

import re
from urllib.parse import urlsplit

#: Scheme, host, port, and segments as RFC 3986 writes them; no user, query or fragment.
_BASE = re.compile(r"https?://[^/?#@\\\s]+(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?", re.IGNORECASE)
#: A percent sign that no two hexadecimal digits follow.
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def checked_public_url(text: str) -> str:
    """A base of addresses, without a slash at its end; "" stays so.

    Raises:
        ValueError: it is none, with what to write instead.
    """
    if not text:
        return text
    path = urlsplit(text).path
    if not _BASE.fullmatch(text) or {".", ".."} & set(path.split("/")) or _BAD_ESCAPE.search(path):
        example = '"https://example.com" or "https://example.com/edits-api"'
        raise ValueError(f"{text!r} is no address that others begin with: write one such as {example}")
    return text.rstrip("/")


def prefix_of(url: str) -> str:
    """The path of a base of addresses, as it stands in a link; "" where there is none."""
    return urlsplit(url).path.rstrip("/")

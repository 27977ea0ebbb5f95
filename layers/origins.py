"""Which web pages may have a browser send what changes something: the service's own, and those that CORS allows.

Any page may have a browser post a form to any address, and CORS keeps from it no more than the answer. So a request
with another method than GET, HEAD and OPTIONS is refused where the browser says that a page of another origin sends it:
by `Sec-Fetch-Site`, which no page can set, or by `Origin`. What is no browser sends neither, and is not concerned.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

#: Methods that change nothing (RFC 9110, 9.2.1).
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class AllowedOrigins:
    """The origins of pages that may send what changes something.

    Args:
        origins: those that CORS allows, as `layers.cors.checked_origins` gives them.
        public_url: whose origin is among them; may be empty.
    """

    def __init__(self, origins: Sequence[str], public_url: str = "") -> None:
        public = urlsplit(public_url)
        self._public_scheme, self._public_host = public.scheme, _without_default(public.netloc.lower(), public.scheme)
        own = {f"{public.scheme}://{self._public_host}"} if public_url else set()
        self._are_all = "*" in origins
        self._origins = {origin.encode() for origin in {*origins, *own}}

    def allow(self, headers: Iterable[tuple[bytes, bytes]], host: bytes) -> bool:
        """Whether a request that changes something may come from where its headers say.

        Args:
            host: the Host header, which is allowed.
        """
        origins = {value.lower() for name, value in headers if name == b"origin"}
        sites = {value.lower() for name, value in headers if name == b"sec-fetch-site"}
        if self._are_all or not (origins or sites) or (origins and origins <= self._origins):
            return True
        if any(map(self._is_of_other_scheme, origins - self._origins)):
            return False
        if sites == {b"same-origin"}:
            # Also behind a proxy that changes the Host header.
            return True
        # "none" is an action of the user's own; "same-site" may be another program on this machine, by its port.
        return sites <= {b"none"} and all(_is_of(origin, host) for origin in origins)

    def _is_of_other_scheme(self, origin: bytes) -> bool:
        """Whether it has the host of `PUBLIC_URL` under another scheme: what stands on the line can answer as it."""
        scheme, _, place = origin.decode("latin-1").partition("://")
        return scheme != self._public_scheme and _without_default(place, scheme) == self._public_host != ""


def _is_of(origin: bytes, host: bytes) -> bool:
    """Whether an origin is that of the host that was asked: the scheme is a proxy's, which `PUBLIC_URL` alone says."""
    scheme, separator, place = origin.decode("latin-1").partition("://")
    if not separator or scheme not in _DEFAULT_PORTS or not place:
        return False  # "null" above all: a page that hides its origin
    return _without_default(place, scheme) == _without_default(host.decode("latin-1").lower(), scheme)


def _without_default(place: str, scheme: str) -> str:
    return place.removesuffix(_DEFAULT_PORTS.get(scheme, ""))

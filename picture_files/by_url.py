"""A file from a URL that a stranger gave: `process.addresses` says where it may lead, here stands how much is read.

Redirects are followed, five at most. Each is checked as the first URL was: its scheme, its host, and right before the
call every address of that host. One from https to http is not followed: anyone on the way could put another picture
in its place. Nothing is unpacked on the way, and neither a slow nor an endless server holds anything up; the time is
that of all calls together.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import httpx

from jobs.model import ANYBODY
from p2p.version import USER_AGENT
from picture_files.data_urls import file_of, is_data_url
from process.addresses import NoPublicAddress, UrlRefused, checked_url, client_to, refuse_private
from process.refusal import Refusal

MAX_REDIRECTS = 5
#: RFC 9110, 15.4: those that say where the same file is to be had.
_REDIRECTS = (301, 302, 303, 307, 308)


class Fetch(Protocol):
    """Gets a file from a URL."""

    async def __call__(self, url: str, most: int, owner: str = ANYBODY) -> bytes:
        """At most so many bytes, for an owner; raises `UrlNotFetched`."""


class UrlNotFetched(Refusal):
    """A URL that gave no file; `code` is stable, the message says what to do.

    Where a name leads, and what a server answered, is not shown beyond the status: it may be none of the client's.
    """


def fetch_over(transport: httpx.AsyncBaseTransport, *, seconds: float, private: bool = False) -> Fetch:
    """`Fetch` over a transport that guards where it leads.

    Args:
        seconds: how long all of it may take.
        private: whether addresses that are not public may be named: for development and tests.
    """

    async def fetch(url: str, most: int, owner: str = ANYBODY) -> bytes:
        try:
            if is_data_url(url):
                # In a thread: a percent sign for each byte takes a step of the interpreter each.
                return _within(await asyncio.to_thread(file_of, url), most)
            first = _checked(url, private=private)
        except UrlRefused as error:
            raise UrlNotFetched(error.code, f"the URL {error}") from error
        try:
            async with asyncio.timeout(seconds):
                return await _followed(first, most, owner)
        except NoPublicAddress as error:
            raise UrlNotFetched(error.code, "the URL leads to no public address: use another one") from error
        except (TimeoutError, httpx.TimeoutException) as error:
            detail = f"the URL gave no file within {seconds:g} s: send the file with POST /v1/images"
            raise UrlNotFetched("url_timeout", detail) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UrlNotFetched("url_not_fetched", "the URL's server could not be reached: check the URL") from error

    async def _followed(url: httpx.URL, most: int, owner: str) -> bytes:
        """The file at the end of a URL's redirects."""
        called = {url}
        for _ in range(MAX_REDIRECTS + 1):
            # A client for each call: none sends what another server had it keep.
            async with (
                client_to(_Unclosed(transport), timeout=seconds) as client,
                _asked(client, url, owner) as response,
            ):
                location = response.extensions["location"]
                if response.status_code not in _REDIRECTS or not location:
                    return await _body(response, most)
            url = _next(url, location, private=private)
            if url in called:
                raise UrlNotFetched("url_redirects", "the URL's redirects lead in a circle: give the file's own URL")
            called.add(url)
        detail = f"the URL is redirected more than {MAX_REDIRECTS} times: give the file's own URL"
        raise UrlNotFetched("url_redirects", detail)

    return fetch


def _checked(url: str, *, private: bool) -> httpx.URL:
    checked = checked_url(url)
    if not private:
        refuse_private(checked)
    return checked


def _next(url: httpx.URL, location: str, *, private: bool) -> httpx.URL:
    """Where a redirect leads; raises `UrlNotFetched` where it is not followed, without saying where that is."""
    try:
        following = _checked(str(url.join(location)), private=private)
    except (UrlRefused, httpx.InvalidURL, UnicodeError) as error:
        code = error.code if isinstance(error, UrlRefused) else "not_a_url"
        raise UrlNotFetched(code, "the URL is redirected to one that is not called: give the file's own URL") from error
    if url.scheme == "https" and following.scheme == "http":
        detail = "the URL is redirected from https to http, where the file could be changed: give another URL"
        raise UrlNotFetched("url_downgraded", detail)
    return following.copy_with(fragment=None)


Data = TypeVar("Data", bytes, bytearray)


def _within(data: Data, most: int) -> Data:
    if len(data) > most:
        raise UrlNotFetched("url_too_large", f"the URL's file has more than {most:,} bytes: make it smaller")
    return data


def _asked(client: httpx.AsyncClient, url: httpx.URL, owner: str) -> AbstractAsyncContextManager[httpx.Response]:
    # As it is: what a server packs would be unpacked before it is counted.
    headers = {"Accept-Encoding": "identity", "Accept": "image/*", "User-Agent": USER_AGENT}
    return client.stream("GET", url, headers=headers, extensions={"owner": owner})


async def _body(response: httpx.Response, most: int) -> bytes:
    if response.status_code != 200:
        detail = f"the URL's server answered {response.status_code}: give the file's own URL"
        raise UrlNotFetched("url_not_fetched", detail)
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        _within(data, most)
    return bytes(data)


class _Unclosed(httpx.AsyncBaseTransport):
    """A transport that outlives its client, and keeps to itself where a redirect leads.

    httpx reads a Location even where it follows none, and fails in its own way where it cannot.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        response.extensions["location"] = response.headers.pop("location", "").strip()
        return response

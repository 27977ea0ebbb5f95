"""A file from a URL that a stranger gave: `service.addresses` says where it may lead, here stands how much is read.

No redirect is followed, nothing is unpacked on the way, and neither a slow nor an endless server holds anything up.
"""

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from service.addresses import NoPublicAddress, UrlRefused, checked_url, client_to, refuse_private

#: Gets at most so many bytes from a URL; raises `UrlNotFetched`.
Fetch = Callable[[str, int], Awaitable[bytes]]


class UrlNotFetched(Exception):
    """A URL that gave no file; `code` is stable, the message says what to do.

    Where a name leads, and what a server answered, is not told beyond the status: it may be none of the client's.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def fetch_over(transport: httpx.AsyncBaseTransport, *, seconds: float, private: bool = False) -> Fetch:
    """`Fetch` over a transport that guards where it leads.

    Args:
        seconds: how long all of it may take.
        private: whether addresses that are not public may be named: for development and tests.
    """

    async def fetch(url: str, most: int) -> bytes:
        try:
            checked = checked_url(url)
            if not private:
                refuse_private(checked)
            async with asyncio.timeout(seconds), client_to(_Unclosed(transport), timeout=seconds) as client:
                return await _body(client, checked, most)
        except UrlRefused as error:
            raise UrlNotFetched(error.code, f"the URL {error}") from error
        except NoPublicAddress as error:
            raise UrlNotFetched(error.code, "the URL leads to no public address: use another one") from error
        except (TimeoutError, httpx.TimeoutException) as error:
            detail = f"the URL gave no file within {seconds:g} s: send the file with POST /v1/images"
            raise UrlNotFetched("url_timeout", detail) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UrlNotFetched("url_not_fetched", "the URL's server could not be reached: check the URL") from error

    return fetch


async def _body(client: httpx.AsyncClient, url: httpx.URL, most: int) -> bytes:
    # As it is: what a server packs would be unpacked before it is counted.
    async with client.stream("GET", url, headers={"Accept-Encoding": "identity", "Accept": "image/*"}) as response:
        if response.status_code != 200:
            followed = ", and redirects are not followed" if response.is_redirect else ""
            detail = f"the URL's server answered {response.status_code}{followed}: give the file's own URL"
            raise UrlNotFetched("url_not_fetched", detail)
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > most:
                raise UrlNotFetched("url_too_large", f"the URL's file has more than {most:,} bytes: make it smaller")
        return bytes(data)


class _Unclosed(httpx.AsyncBaseTransport):
    """A transport that outlives its client."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request)

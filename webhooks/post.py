"""One POST of a message: what it met with, whatever that was."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import httpx

from p2p.version import USER_AGENT
from process.addresses import NoPublicAddress
from webhooks.messages import Message
from webhooks.schedule import Answer, seconds_of
from webhooks.signature import signed

#: Seconds that a receiver has for its answer, everything in all: the resolver, the connection, TLS, status and headers.
TIMEOUT = 15.0
#: What follows the headers is of no use. So much of it is read, in bytes and seconds, for the sake of receivers that
#: take it ill when they are cut short.
READ, READ_TIME = 16_384, 1.0


async def post(message: Message, client: httpx.AsyncClient, url: str, secrets: Sequence[str] = ()) -> Answer:
    """Send a message once, signed at this second."""
    began, body = time.monotonic(), message.body.encode()
    headers = _headers(message, body, secrets)
    status, error, retry_after = None, None, None
    try:
        posted = client.stream("POST", url, content=body, headers=headers, extensions={"owner": message.owner})
        async with asyncio.timeout(TIMEOUT), posted as found:
            status, retry_after = found.status_code, found.headers.get("Retry-After")
            took = time.monotonic() - began
            await _read_a_little(found)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as raised:
        # Once there is a status, it counts, however the rest went.
        error = None if status else _code_of(raised)
    return Answer(
        status=status,
        error=error,
        retry_after=retry_after and seconds_of(retry_after),
        seconds=round(took if status else time.monotonic() - began, 3),
    )


def _headers(message: Message, body: bytes, secrets: Sequence[str]) -> Mapping[str, str]:
    trace = {} if message.traceparent is None else {"traceparent": message.traceparent}
    about = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **trace}
    return {**about, **signed(message.id, int(time.time()), body, secrets)}


async def _read_a_little(response: httpx.Response) -> None:
    read = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(READ_TIME):
            async for part in response.aiter_raw(4096):
                read += len(part)
                if read >= READ:
                    return


def _code_of(raised: Exception) -> str:
    match raised:
        case NoPublicAddress():
            return raised.code
        case TimeoutError() | httpx.TimeoutException():
            return "timeout"
    return "connection_failed"

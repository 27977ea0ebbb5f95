"""What an operation may want done, and the two drivers that do it: `told` blocks, `told_async` awaits.

An operation is a generator. It yields an effect, and is given its result, or is thrown what was raised. It holds
no socket and never sleeps, so that it is the same for both drivers and is tested without either.
"""

import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import httpx

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Send:
    """A request; gives its `httpx.Response`.

    Attributes:
        arguments: further ones of `httpx.Client.build_request`: json, files, params.
        read_timeout: seconds between two pieces of the answer; the client's own where absent.
        streamed: whether the answer's body is to be left to `NextChunk`. There is one such answer at a time.
        redirected: whether redirects are followed.
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    read_timeout: float | None = None
    streamed: bool = False
    redirected: bool = False


@dataclass(frozen=True)
class NextChunk:
    """The next bytes of the streamed answer; none once it is over."""


@dataclass(frozen=True)
class Pause:
    """Nothing, for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Something that blocks, such as reading a file; gives what it returns."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Tell:
    """A value for the caller that iterates."""

    value: Any


Operation = Generator[Send | NextChunk | Pause | Work | Tell, Any, T]


def answer(operation: Operation[T], http: httpx.Client) -> T:
    """Runs an operation to its end, and gives what it returns."""
    (value,) = told(_telling(operation), http)
    return value


async def answer_async(operation: Operation[T], http: httpx.AsyncClient) -> T:
    """Runs an operation to its end, and gives what it returns."""
    (value,) = [value async for value in told_async(_telling(operation), http)]
    return value


def _telling(operation: Operation[T]) -> Operation[None]:
    """Tells what an operation returns: an asynchronous generator cannot return it."""
    yield Tell((yield from operation))


def told(operation: Operation[None], http: httpx.Client) -> Iterator[Any]:
    """What an operation tells, as it comes."""
    given: Any = None
    resume: Callable[[Any], Any] = operation.send
    open_answer: httpx.Response | None = None
    try:
        while True:
            try:
                effect = resume(given)
            except StopIteration:
                return
            try:
                resume, given = operation.send, None
                match effect:
                    case Send():
                        if open_answer is not None:
                            open_answer.close()
                        given = http.send(_request(effect, http), stream=True, follow_redirects=effect.redirected)
                        if effect.streamed:
                            open_answer, chunks = given, given.iter_bytes()
                        else:
                            try:
                                given.read()
                            finally:
                                given.close()
                    case NextChunk():
                        given = next(chunks, b"")
                    case Pause(seconds):
                        time.sleep(seconds)
                    case Work(function):
                        given = function()
                    case Tell(value):
                        yield value
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                resume, given = operation.throw, error
    finally:
        operation.close()
        if open_answer is not None:
            open_answer.close()


async def told_async(operation: Operation[None], http: httpx.AsyncClient) -> AsyncIterator[Any]:
    """What an operation tells, as it comes. Close it (`contextlib.aclosing`) where it is left before its end."""
    given: Any = None
    resume: Callable[[Any], Any] = operation.send
    open_answer: httpx.Response | None = None
    try:
        while True:
            try:
                effect = resume(given)
            except StopIteration:
                return
            try:
                resume, given = operation.send, None
                match effect:
                    case Send():
                        if open_answer is not None:
                            await open_answer.aclose()
                        given = await http.send(_request(effect, http), stream=True, follow_redirects=effect.redirected)
                        if effect.streamed:
                            open_answer, chunks = given, given.aiter_bytes()
                        else:
                            try:
                                await given.aread()
                            finally:
                                await given.aclose()
                    case NextChunk():
                        given = await anext(chunks, b"")
                    case Pause(seconds):
                        await anyio.sleep(seconds)
                    case Work(function):
                        given = await anyio.to_thread.run_sync(function)
                    case Tell(value):
                        yield value
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                resume, given = operation.throw, error
    finally:
        operation.close()
        if open_answer is not None:
            await open_answer.aclose()


def _request(send: Send, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
    timeout = http.timeout
    if send.read_timeout is not None:
        timeout = httpx.Timeout(connect=timeout.connect, read=send.read_timeout, write=timeout.write, pool=timeout.pool)
    return http.build_request(send.method, send.url, headers=send.headers, timeout=timeout, **send.arguments)

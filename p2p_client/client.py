"""The two clients: the same operations, run by either driver."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from p2p.version import CLIENT_USER_AGENT
from p2p_client import operations
from p2p_client.asking import Api
from p2p_client.downloads import download
from p2p_client.effects import Operation, answer, answer_async, told, told_async
from p2p_client.events import events
from p2p_client.results import Edit, Event

P = ParamSpec("P")
T = TypeVar("T")
Operating = Callable[Concatenate[Api, P], Operation[T]]


def _blocking(operation: Operating[P, T]) -> Callable[Concatenate["Client", P], T]:
    @wraps(operation)
    def method(client: "Client", *args: P.args, **kwargs: P.kwargs) -> T:
        return answer(operation(client.api, *args, **kwargs), client.http)

    return method


def _awaiting(operation: Operating[P, T]) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, T]]:
    @wraps(operation)
    async def method(client: "AsyncClient", *args: P.args, **kwargs: P.kwargs) -> T:
        return await answer_async(operation(client.api, *args, **kwargs), client.http)

    return method


def _iterating(operation: Operating[P, None], of: type[T]) -> Callable[Concatenate["Client", P], Iterator[T]]:
    @wraps(operation)
    def method(client: "Client", *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return told(operation(client.api, *args, **kwargs), client.http)

    return method


def _awaited_each(
    operation: Operating[P, None], of: type[T]
) -> Callable[Concatenate["AsyncClient", P], AsyncIterator[T]]:
    @wraps(operation)
    def method(client: "AsyncClient", *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return told_async(operation(client.api, *args, **kwargs), client.http)

    return method


class Client:
    """The service, for programs that block.

    Args:
        base_url: where it is.
        key: an API key, where the service wants one. It is sent to `base_url` alone.
        timeout: seconds that an answer may take.
        patience: seconds that a call goes on being sent again while the service is busy (`Retry-After` is kept to)
            or cannot be reached.
        http: what sends, in place of a client of httpx's of its own; closed by its maker.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        *,
        timeout: float = 30.0,
        patience: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        self.api = Api(base_url=base_url.rstrip("/"), key=key, patience=patience)
        self.http = http or httpx.Client(timeout=timeout, headers={"User-Agent": CLIENT_USER_AGENT})
        self._owned = http is None

    submit = _blocking(operations.submit)
    get = _blocking(operations.get)
    wait = _blocking(operations.wait)
    events = _iterating(events, Event)
    cancel = _blocking(operations.cancel)
    erase = _blocking(operations.erase)
    erase_subject = _blocking(operations.erase_subject)
    list = _iterating(operations.list_edits, Edit)
    download = _blocking(download)
    submit_batch = _blocking(operations.submit_batch)
    wait_batch = _blocking(operations.wait_batch)
    cancel_batch = _blocking(operations.cancel_batch)
    upload = _blocking(operations.upload)
    invert = _blocking(operations.invert)
    inversions = _blocking(operations.inversions)
    models = _blocking(operations.models)
    align = _blocking(operations.align)

    def close(self) -> None:
        """Closes its connections."""
        if self._owned:
            self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient:
    """The service, for programs that await: `Client`'s methods and arguments."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        *,
        timeout: float = 30.0,
        patience: float = 60.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.api = Api(base_url=base_url.rstrip("/"), key=key, patience=patience)
        self.http = http or httpx.AsyncClient(timeout=timeout, headers={"User-Agent": CLIENT_USER_AGENT})
        self._owned = http is None

    submit = _awaiting(operations.submit)
    get = _awaiting(operations.get)
    wait = _awaiting(operations.wait)
    events = _awaited_each(events, Event)
    cancel = _awaiting(operations.cancel)
    erase = _awaiting(operations.erase)
    erase_subject = _awaiting(operations.erase_subject)
    list = _awaited_each(operations.list_edits, Edit)
    download = _awaiting(download)
    submit_batch = _awaiting(operations.submit_batch)
    wait_batch = _awaiting(operations.wait_batch)
    cancel_batch = _awaiting(operations.cancel_batch)
    upload = _awaiting(operations.upload)
    invert = _awaiting(operations.invert)
    inversions = _awaiting(operations.inversions)
    models = _awaiting(operations.models)
    align = _awaiting(operations.align)

    async def close(self) -> None:
        """Closes its connections."""
        if self._owned:
            await self.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

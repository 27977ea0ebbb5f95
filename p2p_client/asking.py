"""One call of the API: sent, and sent again for as long as that is safe and may help."""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from p2p_client.effects import NextChunk, Operation, Pause, Send
from p2p_client.errors import BadAnswer, ClientError, Unreachable, error_of

Model = TypeVar("Model", bound=BaseModel)

#: Nothing has left this machine, so that nothing can have been done twice.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: Nothing was accepted, whatever was asked.
_PASSES = frozenset({429, 503})
#: A proxy's, which does not know what became of the request.
_LOST = frozenset({502, 504})
#: Seconds: the first pause at most, how far it grows, and the least, so that no answer makes a busy loop.
_FIRST, _LONGEST, _LEAST = 0.5, 8.0, 0.1


@dataclass(frozen=True, kw_only=True)
class Api:
    """Where the service is, and how patient a call of it is.

    Attributes:
        base_url: without a slash at its end.
        key: sent to `base_url` and nowhere else.
        patience: seconds that a call goes on being sent again.
        clock: seconds that only grow.
        chance: a number from 0 to 1, for pauses that do not bring all clients back at once.
    """

    base_url: str
    key: str | None = field(default=None, repr=False)
    patience: float = 60.0
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random

    def backoff(self, attempt: int) -> float:
        """Seconds before an attempt, counted from 0, where nobody says when: at random up to a bound that doubles."""
        return max(_LEAST, self.chance() * min(_LONGEST, _FIRST * 2.0**attempt))


def ask(
    api: Api,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    repeatable: bool = True,
    read_timeout: float | None = None,
    streamed: bool = False,
    **arguments: Any,
) -> Operation[httpx.Response]:
    """Asks the API.

    Args:
        repeatable: whether it may be sent again where it is not known what became of it.
    Raises:
        Unreachable, BadAnswer, ServiceProblem: as they say.
    """
    key = {} if api.key is None else {"Authorization": f"Bearer {api.key}"}
    send = Send(
        method=method,
        url=f"{api.base_url}{path}",
        headers={**key, **(headers or {})},
        arguments=arguments,
        read_timeout=read_timeout,
        streamed=streamed,
    )
    return (yield from attempted(api, send, repeatable=repeatable))


def attempted(api: Api, send: Send, *, repeatable: bool = True) -> Operation[httpx.Response]:
    """A request's answer, after as many attempts as the patience allows."""
    until, attempt = api.clock() + api.patience, 0
    while True:
        cause: Exception | None = None
        failure: ClientError
        asked_for: float | None = None
        try:
            response: httpx.Response = yield send
        except (httpx.TooManyRedirects, httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.DecodingError) as error:
            raise BadAnswer(f"{send.method} {_shown(send.url)}: {error}") from error
        except httpx.TransportError as error:
            cause, passes = error, repeatable or isinstance(error, _NOT_SENT)
            failure = Unreachable(f"no answer from {_shown(send.url)}: {error or type(error).__name__}")
        else:
            if response.is_success:
                return response
            body = (yield from _rest()) if send.streamed else response.content
            failure, asked_for = _failure(response, body), retry_after(response.headers)
            passes = response.status_code in _PASSES or (repeatable and response.status_code in _LOST)
        pause = max(_LEAST, api.backoff(attempt) if asked_for is None else asked_for)
        if not passes or api.clock() + pause > until:
            raise failure from cause
        yield Pause(pause)
        attempt += 1


def parsed(kind: type[Model], response: httpx.Response) -> Model:
    """What an answer says, typed."""
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        url = _shown(str(response.request.url))
        raise BadAnswer(f"{url} did not answer as this service does: {error}") from error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header (RFC 9110, 10.2.3): a number of them, or a date."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _rest() -> Operation[bytes]:
    body = b""
    while chunk := (yield NextChunk()):
        body += chunk
    return body


def _failure(response: httpx.Response, body: bytes) -> ClientError:
    url = _shown(str(response.request.url))
    if response.is_redirect:
        # Not followed: the request would be sent, key and all, to where nobody said it should.
        return BadAnswer(f"{url} leads to {response.headers.get('Location')}: give the client that address itself")
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        try:
            problem = json.loads(body)
        except ValueError:
            problem = None
        if isinstance(problem, dict):
            return error_of(response.status_code, problem, retry_after(response.headers))
    detail = f"{url} answered without a problem document, so it may be no answer of this service"
    return error_of(response.status_code, {"detail": detail}, retry_after(response.headers))


def _shown(url: str) -> str:
    """A URL without its query, which may hold a signature."""
    return url.partition("?")[0]

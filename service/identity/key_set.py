"""The keys that an identity provider signs with (JWKS, RFC 7517): asked for, kept for a while, and asked for anew.

Rules.
1. Nobody waits for a set that is renewed in time: from half of `FRESH` on it is asked for beside the requests. A set
   that is older than `FRESH`, for no token came meanwhile, is asked for first.
2. A key that is not known has the set asked for again, but once in `PAUSE` at most: tokens that somebody makes up bring
   no further request.
3. All who wait for one answer wait for the same request, and only so many. It has a deadline.
4. A key that the provider does not name any more is good no longer than `FRESH`. While the provider does not answer,
   the last set is kept for `KEPT`, and nobody waits.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from jwt import PyJWK

from service.http.errors import IdentityUnavailable

log = logging.getLogger(__name__)

#: Seconds for which a set is taken as it is; after a rotation a withdrawn key is good for so long.
FRESH = 300.0
#: Seconds for which a set is kept while the provider does not answer.
KEPT = 3_600.0
#: Seconds between two requests to the provider, at least.
PAUSE = 10.0
#: Requests that wait for the provider at a time; further ones are refused at once.
MOST_WAITING = 256

#: The keys of a set by their `kid` and the algorithm that they are used with.
Keys = Mapping[tuple[str, str], PyJWK]


class NoKeySet(Exception):
    """The provider gave no set of keys; the message says why."""


class KeySet:
    """The provider's keys as they are known here.

    Args:
        fetch: asks the provider; raises `NoKeySet`. It ends in time by itself.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Keys]], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._keys: Keys = {}
        self._fresh_until = self._kept_until = self._next_try = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._fails, self._waiting = False, 0

    async def find(self, kid: str, algorithm: str) -> PyJWK | None:
        """The key of that name; None if the provider has none of it.

        Raises:
            IdentityUnavailable: nobody knows, for the provider does not answer.
        """
        now = self._clock()
        if now >= self._kept_until:
            self._keys = {}
        key = self._keys.get((kid, algorithm))
        if key is not None and (now < self._fresh_until or self._fails):
            if now >= self._fresh_until - FRESH / 2:
                self._ask(now)
            return key
        if (asking := self._ask(now)) is not None:
            await self._answer(asking)
        key = self._keys.get((kid, algorithm))
        if key is None and self._fails:
            raise IdentityUnavailable(self._next_try - self._clock())
        return key

    async def aclose(self) -> None:
        """Give up what is asked for."""
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking

    def _ask(self, now: float) -> "asyncio.Task[None] | None":
        """What is asked for at the moment; None if it is too soon."""
        if self._asking is None and now >= self._next_try:
            self._next_try = now + PAUSE
            self._asking = asyncio.create_task(self._renew())
        return self._asking

    async def _renew(self) -> None:
        try:
            self._keys = await self._fetch()
            now = self._clock()
            self._fresh_until, self._kept_until, self._fails = now + FRESH, now + KEPT, False
        except NoKeySet as error:
            self._fails = True
            log.warning("the identity provider's keys cannot be had: %s", error)
        finally:
            self._asking = None

    async def _answer(self, asking: "asyncio.Task[None]") -> None:
        if self._waiting >= MOST_WAITING:
            raise IdentityUnavailable(1)
        self._waiting += 1
        try:
            # A client that leaves ends its own wait, and nobody else's.
            await asyncio.shield(asking)
        finally:
            self._waiting -= 1

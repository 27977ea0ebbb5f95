"""Whose request it is: keys that are made, listed and revoked by `python -m admin keys`.

A key is `p2p_{id}_{secret}`. Redis holds its id, what it allows and a SHA-256 of its secret, which is 32 random bytes:
nothing slower is needed where nothing can be guessed. Keys are the installation's configuration and the one thing in
Redis that has no end. While there is no key at all, the API listens on loopback only, and everybody there is one owner.
An API that listens elsewhere lets nobody in without a key, whatever has become of the keys since it started. Beside
keys the API may take tokens of an identity provider (`service.identity`).
"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from secrets import token_hex, token_urlsafe
from typing import Annotated, Any, Protocol, cast

import redis
import redis.asyncio
from cachetools import TTLCache
from pydantic import BaseModel, ConfigDict, Field

from jobs.admission import Limits
from jobs.fairness import LEAST_WEIGHT, MOST_WEIGHT
from jobs.model import ANYBODY
from jobs.quotas import Quota
from service.http.errors import Unauthenticated

#: A hash: id -> key, as JSON.
KEYS = "apikeys"
#: Seconds for which an API takes a key for what it last was: so long one that was revoked may still be good.
TRUSTED = 5.0
#: How `KeyRing.create` writes a key: its id, and its secret in 43 characters of base64. Redis is asked for no other.
_FORM = re.compile(r"p2p_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
#: How many keys an API process remembers, and how many ids that belong to no key.
MOST_KNOWN, MOST_UNKNOWN = 1_000, 1_000


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks.

    Attributes:
        owner: whose jobs it makes and sees.
        limits: of the key; the queue's own is the installation's.
        streams: waits and event streams that it may have open at one API process; None for the installation's number.
        scopes: what it may do (`service.http.scopes`); None for everything, as every key may.
        models: that it may use; None for all.
    """

    owner: str = ANYBODY
    limits: Limits = field(default_factory=Limits)
    streams: int | None = None
    scopes: frozenset[str] | None = None
    models: frozenset[str] | None = None


class KeyLimits(BaseModel):
    """What a key may do; None for as much as it likes."""

    model_config = ConfigDict(frozen=True)

    per_minute: float | None = None
    burst: int = 20
    active: int | None = None
    waiting: int | None = None
    weight: Annotated[float, Field(ge=LEAST_WEIGHT, le=MOST_WEIGHT)] = 1.0
    streams: int | None = None
    gpu_seconds_a_day: float | None = None
    pictures_a_day: int | None = None
    bytes_a_day: int | None = None

    @cached_property
    def of_jobs(self) -> Limits:
        """What concerns its jobs, as the store takes it."""
        return Limits(
            per_minute=self.per_minute,
            burst=self.burst,
            active=self.active,
            waiting=self.waiting,
            weight=self.weight,
            quota=Quota(gpu_seconds=self.gpu_seconds_a_day, pictures=self.pictures_a_day, bytes=self.bytes_a_day)
            or None,
        )


class ApiKey(KeyLimits):
    """A key as it is kept."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    name: str
    digest: str
    created_at: datetime
    revoked_at: datetime | None = None

    @cached_property
    def caller(self) -> Caller:
        """Who asks with it."""
        return Caller(owner=self.id, limits=self.of_jobs, streams=self.streams)


class Callers(Protocol):
    """Tells who asks."""

    async def of(self, authorization: str) -> Caller:
        """Who sends this Authorization header; raises `Unauthenticated`."""


class Everybody:
    """`Callers` where there are no keys."""

    async def of(self, authorization: str) -> Caller:
        return Caller()


class KeyHolders:
    """`Callers` over the keys in Redis, over a client made with `decode_responses=True`.

    Args:
        open_without_keys: whether everybody is let in while there is no key: on loopback only. Elsewhere a Redis that
            was emptied would else open what keys had closed.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        *,
        open_without_keys: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._clock = client, clock
        self._open_without_keys = open_without_keys
        self._open_until = self._locked_until = float("-inf")
        # Apart: ids that somebody tries push out no key.
        self._known: TTLCache[str, ApiKey] = TTLCache(MOST_KNOWN, TRUSTED, timer=clock)
        self._unknown: TTLCache[str, bool] = TTLCache(MOST_UNKNOWN, TRUSTED, timer=clock)

    async def of(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        parsed = _FORM.fullmatch(token.strip()) if scheme.lower() == "bearer" else None
        # Clients of OpenAI always send some token. Where no key is needed, one that is no key of ours is passed over.
        if parsed is None and await self._is_open():
            return Caller()
        if parsed is None:
            raise Unauthenticated(sent=bool(authorization))
        key_id, secret = parsed.groups()
        key = self._known.get(key_id) or await self._key(key_id)
        if key is None or key.revoked_at or not hmac.compare_digest(key.digest, _digest(secret)):
            raise Unauthenticated(sent=True)
        return key.caller

    async def _is_open(self) -> bool:
        now = self._clock()
        if not self._open_without_keys or now < self._locked_until:
            return False
        if now >= self._open_until:
            # Once there was a key there is no way back, not even by revoking it.
            if await self._client.exists(KEYS):
                self._locked_until = now + TRUSTED
                return False
            self._open_until = now + TRUSTED
        return True

    async def _key(self, key_id: str) -> ApiKey | None:
        if key_id in self._unknown:
            return None
        text = cast(str | None, await self._client.hget(KEYS, key_id))
        if text is None:
            self._unknown[key_id] = True
            return None
        key = self._known[key_id] = ApiKey.model_validate_json(text)
        return key


class KeyRing:
    """The keys as an operator works with them, over a blocking client made with `decode_responses=True`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def create(
        self, name: str, *, unless_any: bool = False, token: str | None = None, **limits: Any
    ) -> tuple[ApiKey, str] | None:
        """A new key, and the token that nobody will see again; None if there is a key and that was not wanted.

        Args:
            token: the key's own, made elsewhere; made here if it is None.
        Raises:
            ValueError: the token has not the form of one, or its id is taken. The message does not show it.
        """
        parsed = _FORM.fullmatch(f"p2p_{token_hex(6)}_{token_urlsafe(32)}" if token is None else token)
        if parsed is None:
            raise ValueError("a token is p2p_, 12 digits and letters a to f, _, and 43 characters of base64 (- and _)")
        key_id, secret = parsed.groups()
        key = ApiKey(id=key_id, name=name, digest=_digest(secret), created_at=datetime.now(UTC), **limits)
        with self._client.pipeline() as commands:
            commands.watch(KEYS)
            if unless_any and commands.exists(KEYS):
                return None
            if commands.hexists(KEYS, key.id):
                raise ValueError(f"there is a key {key.id} already; give a token with another id")
            commands.multi()
            commands.hset(KEYS, key.id, key.model_dump_json())
            try:
                commands.execute()
            except redis.WatchError:  # somebody made one at the same time
                return self.create(name, unless_any=unless_any, token=token, **limits)
        return key, f"p2p_{key.id}_{secret}"

    def all(self) -> Mapping[str, ApiKey]:
        """Every key, revoked ones included, the oldest first."""
        found = cast(Mapping[str, str], self._client.hgetall(KEYS))
        keys = sorted(map(ApiKey.model_validate_json, found.values()), key=lambda key: key.created_at)
        return {key.id: key for key in keys}

    def revoke(self, key_id: str) -> ApiKey:
        """The key opens nothing any more; raises `KeyError` where there is none."""
        key = self.all()[key_id].model_copy(update={"revoked_at": datetime.now(UTC)})
        self._client.hset(KEYS, key.id, key.model_dump_json())
        return key

    def take_over(self, key: ApiKey) -> None:
        """Have a key of another cell here as well, as it is there: the same token opens both.

        Raises:
            KeyError: this cell has another key of that id, with another secret.
        """
        if (own := self.all().get(key.id)) and own.digest != key.digest:
            raise KeyError(key.id)
        self._client.hset(KEYS, key.id, key.model_dump_json())

    def any(self) -> bool:
        """Whether a key was ever made."""
        return bool(self._client.exists(KEYS))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

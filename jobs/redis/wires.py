"""Connections to the server that takes writes, whichever that is after a failover.

A server that was the primary and comes back as a replica still answers, with what it last knew, and refuses to write.
A connection to it is dropped at the first such answer, and the error is that of a lost connection: who sends again
after those finds the new primary.
"""

import asyncio
import re
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import MasterDownError, ReadOnlyError, ResponseError
from redis.utils import str_if_bytes

from jobs.redis.sentinels import Sentinels

#: What a server says that takes no writes: it was made a replica, or too few replicas follow it (which an old primary
#: says that is cut off from all others). Redis 6 has it within the error of a script.
_NO_PRIMARY = re.compile(r"(?:^|-)(?:READONLY|NOREPLICAS|UNBLOCKED|MASTERDOWN)\b")


class NoPrimary(redis.ConnectionError):
    """The server at the other end takes no writes now; another one may."""


def _lost(error: ResponseError) -> NoPrimary | None:
    """The error of a lost connection, where an answer shows that the server takes no writes."""
    if isinstance(error, ReadOnlyError | MasterDownError) or _NO_PRIMARY.search(str(error)):
        return NoPrimary(f"this Redis takes no writes now: {error}")
    return None


def _refuse_replica(role: Any) -> None:
    if (is_now := str_if_bytes(role[0])) != "master":
        raise NoPrimary(f"the Sentinel names a server that is a {is_now} now")


class Dropping:
    """Drops a server that takes no writes."""

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc]
        except ResponseError as error:
            if lost := _lost(error):
                self.disconnect()  # type: ignore[attr-defined]
                raise lost from error
            raise


class AsyncDropping:
    """`Dropping` for asyncio."""

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except ResponseError as error:
            if lost := _lost(error):
                await self.disconnect(nowait=True)  # type: ignore[attr-defined]
                raise lost from error
            raise


class ToPrimary(Dropping):
    """Asks Sentinels where to connect to, and the server itself whether they are right."""

    def __init__(self, *, sentinels: Sentinels, **how: Any) -> None:
        super().__init__(**how)
        self._sentinels = sentinels

    def _connect(self) -> Any:
        self.host, self.port = self._sentinels.primary()
        return super()._connect()  # type: ignore[misc]

    def on_connect_check_health(self, check_health: bool = True) -> None:
        super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
        self.send_command("ROLE", check_health=False)  # type: ignore[attr-defined]
        _refuse_replica(self.read_response())


class AsyncToPrimary(AsyncDropping):
    """`ToPrimary` for asyncio."""

    def __init__(self, *, sentinels: Sentinels, **how: Any) -> None:
        super().__init__(**how)
        self._sentinels = sentinels

    async def _connect(self) -> None:
        # In a thread: it happens when a connection is opened, and is the same for both kinds of clients so.
        self.host, self.port = await asyncio.to_thread(self._sentinels.primary)
        await super()._connect()  # type: ignore[misc]

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
        await self.send_command("ROLE", check_health=False)  # type: ignore[attr-defined]
        _refuse_replica(await self.read_response())


class TcpConnection(Dropping, redis.Connection):
    """Over TCP."""


class TlsConnection(Dropping, redis.SSLConnection):
    """Over TLS."""


class SocketConnection(Dropping, redis.UnixDomainSocketConnection):
    """Over a Unix socket."""


class TcpToPrimary(ToPrimary, redis.Connection):
    """Over TCP, to whom Sentinels name."""


class TlsToPrimary(ToPrimary, redis.SSLConnection):
    """Over TLS, to whom Sentinels name."""


class AsyncTcpConnection(AsyncDropping, redis.asyncio.Connection):
    """Over TCP."""


class AsyncTlsConnection(AsyncDropping, redis.asyncio.SSLConnection):
    """Over TLS."""


class AsyncSocketConnection(AsyncDropping, redis.asyncio.UnixDomainSocketConnection):
    """Over a Unix socket."""


class AsyncTcpToPrimary(AsyncToPrimary, redis.asyncio.Connection):
    """Over TCP, to whom Sentinels name."""


class AsyncTlsToPrimary(AsyncToPrimary, redis.asyncio.SSLConnection):
    """Over TLS, to whom Sentinels name."""

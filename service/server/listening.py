"""How uvicorn is started: with connections that cost no more than the settings allow."""

import logging
import resource
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from layers.connections.bounds import Bounds
from layers.connections.shares import Shares
from layers.connections.unread import Unread
from layers.connections.waiting import Waiting
from service.server.connection import BoundedConnection

log = logging.getLogger("service")

#: uvicorn's own line a request would hold the query, and with it the signatures of artifacts: see layers.access.
UVICORN: dict[str, Any] = {"log_config": None, "access_log": False}
#: Files beside those of connections: Redis, storage, spooled pictures, and connections that are accepted to be refused.
SPARE_FILES = 512


class Bounding(Protocol):
    """The settings of `options`: the API's, or the router's."""

    @property
    def connections(self) -> int: ...
    @property
    def head_seconds(self) -> float: ...
    @property
    def idle_seconds(self) -> float: ...
    @property
    def send_seconds(self) -> float: ...
    @property
    def min_rate(self) -> float: ...


def options(settings: Bounding, *, connections: int | None = None) -> dict[str, Any]:
    """What uvicorn is started with.

    Args:
        connections: in place of the setting's number, where the system allows fewer.
    """
    bounds = Bounds(
        connections=connections or settings.connections,
        head_seconds=settings.head_seconds,
        idle_seconds=settings.idle_seconds,
        send_seconds=settings.send_seconds,
        min_rate=settings.min_rate,
    )
    waiting = Waiting(head=bounds.head_seconds, rest=bounds.head_seconds, idle=bounds.idle_seconds)
    return {
        **UVICORN,
        "http": partial(BoundedConnection, bounds=bounds, waiting=waiting, shares=Shares(), unread=Unread(waiting)),
        "ws": "none",
        "timeout_keep_alive": bounds.idle_seconds,
    }


def allowed_connections(wanted: int) -> int:
    """How many connections the system allows of so many; raises the soft limit of open files as far as it may.

    That limit is 1,024 on many systems for the sake of programs that use `select`, which this one does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):  # macOS has a limit of its own besides
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = max(soft // 2, soft - SPARE_FILES)
    log.warning(
        "CONNECTIONS is %d, and %d are taken: this process may open %d files (ulimit -n)", wanted, allowed, soft
    )
    return allowed

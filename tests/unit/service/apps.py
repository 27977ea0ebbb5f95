"""APIs that tests share: to make one and have it answer its first request takes longer than most tests do."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from service.app import Connect, create_app
from service.plane import Plane
from service.settings import Settings

#: APIs that are kept, those that were had last: each takes five megabytes, and most tests want one of a few.
MOST = 8


@dataclass(eq=False)
class _Made:
    """An API, and what opens the plane of the test that has it; None while it is free."""

    settings: Settings
    app: FastAPI
    connect: Connect | None = None


class Apps:
    """APIs by their settings. Each keeps its plane for as long as its lifespan, and nothing of it afterwards."""

    def __init__(self) -> None:
        self._made: list[_Made] = []

    @contextmanager
    def one(self, settings: Settings, connect: Connect) -> Iterator[FastAPI]:
        """An API with these settings that nobody else has within the block; `connect` opens what it works with."""
        free = (made for made in self._made if made.connect is None and made.settings == settings)
        made = next(free, None) or self._new(settings)
        self._made = [*(other for other in self._made if other is not made), made][-MOST:]
        made.connect = connect
        try:
            yield made.app
        finally:
            made.connect = None

    def _new(self, settings: Settings) -> _Made:
        def connect(settings: Settings) -> AbstractAsyncContextManager[Plane]:
            assert made.connect is not None, "its lifespan begins while somebody has it"
            return made.connect(settings)

        made = _Made(settings, create_app(settings, connect))
        return made

"""The router as an ASGI application: what becomes of each kind of place (`router.places`).

New work is given to another cell only where the first one surely has not accepted it: nothing of the request has
reached it, or it says that it has refused (`REFUSED`). Any other failure leaves that in doubt. Then the client gets
the error, and its retry under the same name goes to the same cell (`router.names`).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from urllib.parse import parse_qs

import httpx
from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from layers.body_errors import BodyRefused
from layers.door_errors import RequestRefused
from process.metrics import REQUESTS_OPEN
from router.cells import OF_A_KEY, Cell, in_order, key_of
from router.errors import CellUnavailable
from router.health import Health
from router.lists import listed
from router.names import Names
from router.passing import LIMITS, Body, ClientLeft, InDoubt, NotSent, Passed, answered, passed_on
from router.places import Anywhere, Creating, Home, Listing, Own, Place, home_of_body, place_of
from router.settings import RouterSettings
from service.http.errors import problem_for

#: Codes of 503 with which a cell says that it has accepted nothing.
REFUSED = frozenset({"queue_full", "too_many_connections"})
#: Answered by the router itself. Metrics are each cell's own, and not for clients.
_LIVE, _READY, _METRICS = "/livez", "/readyz", "/metrics"
#: A list without pages.
_WHOLE_LIST = "/v1/inversions"


class Router:
    """The application; `running` opens what it works with."""

    def __init__(self, settings: RouterSettings) -> None:
        self._cells = settings.by_name
        self._names = Names()
        self._client = httpx.AsyncClient(limits=LIMITS, timeout=5, trust_env=False)
        self._health = Health(self._cells.values(), self._client)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        if scope["type"] != "http":
            return None
        body, request = Body(receive), Request(scope)
        answering = asyncio.create_task(self._answer(scope, body, send))
        leaving = asyncio.create_task(body.client_left())
        REQUESTS_OPEN.inc()
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                await answering
        except (RequestRefused, BodyRefused, HTTPException, httpx.HTTPError) as error:
            # What breaks off while it is read here has not been begun for the client.
            refused = CellUnavailable() if isinstance(error, httpx.HTTPError) else error
            response = await problem_for(request, refused)
            await response(scope, receive, send)
        except ClientLeft:
            pass
        finally:
            REQUESTS_OPEN.dec()
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._client, self._health.watching():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, body: Body, send: Send) -> None:
        path, request = scope["path"], Passed.of(scope)
        if path in {_LIVE, _READY}:
            return await self._own_state(path)(scope, body.receive, send)
        if path == _METRICS:
            raise HTTPException(404)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        name = request.header(b"idempotency-key") or None
        place = place_of(request.method, path, query.get("cell", [""])[0], name, self._cells)
        response = await self._response(place, request, body, path)
        try:
            await answered(response, send)
        finally:
            await response.aclose()

    async def _response(self, place: Place, request: Passed, body: Body, path: str) -> httpx.Response:
        order = in_order(key_of(request.header(b"authorization")), self._cells)
        match place:
            case Home(cell):
                return await self._from_home(cell, request, await body.whole())
            case Own():
                return await self._from_whom_knows(order, request, await body.whole())
            case Creating():
                return await self._created(place, order[:OF_A_KEY], request, body)
            case Listing(cell):
                return await self._list(order if cell is None else [cell], request, path)
            case Anywhere():
                return await self._from_any(order, request, await body.whole())

    async def _from_home(self, cell: Cell, request: Passed, content: bytes) -> httpx.Response:
        # A connection that the cell was just closing fails what is sent on it: what only reads is sent once more.
        for _ in range(2 if request.method in {"GET", "HEAD"} else 1):
            try:
                return await passed_on(self._client, cell, request, content)
            except NotSent:
                break
            except InDoubt:
                continue
        self._health.failed(cell)
        raise CellUnavailable

    async def _from_whom_knows(self, order: Sequence[Cell], request: Passed, content: bytes) -> httpx.Response:
        """The answer of the first cell that knows the id; where none does and all were asked, that it is not there."""
        unknown: httpx.Response | None = None
        are_all_asked = True
        for cell in self._health.first(order):
            try:
                answer = await self._from_home(cell, request, content)
            except CellUnavailable:
                are_all_asked = False
                continue
            if answer.status_code != 404:
                return answer
            await answer.aread()
            unknown = unknown or answer
        if unknown is None or not are_all_asked:
            raise CellUnavailable
        return unknown

    async def _from_any(self, order: Sequence[Cell], request: Passed, content: bytes) -> httpx.Response:
        for cell in self._health.first(order):
            try:
                return await self._from_home(cell, request, content)
            except CellUnavailable:
                continue
        raise CellUnavailable

    async def _list(self, cells: Sequence[Cell], request: Passed, path: str) -> httpx.Response:
        raw_path, _, query = request.target.partition(b"?")

        async def ask(cell: Cell, query: str) -> httpx.Response:
            target = raw_path + (f"?{query}".encode() if query else b"")
            # As it is: what is compressed could not be put together.
            headers = [(name, text) for name, text in request.headers if name != b"accept-encoding"]
            answer = await self._from_home(cell, Passed(method="GET", target=target, headers=headers), b"")
            await answer.aread()
            await answer.aclose()
            return answer

        answer, content = await listed(query.decode("latin-1"), cells, ask, pages=path != _WHOLE_LIST)
        headers = [
            (name, text) for name, text in answer.headers.raw if name.lower() not in {b"content-length", b"etag"}
        ]
        headers.append((b"content-length", str(len(content)).encode()))
        return httpx.Response(answer.status_code, headers=headers, content=b"" if request.method == "HEAD" else content)

    async def _created(self, place: Creating, order: Sequence[Cell], request: Passed, body: Body) -> httpx.Response:
        """New work: given to one cell, and to a second one only where the first has surely not accepted it."""
        content: bytes | AsyncIterator[bytes] = await body.whole() if place.reads else body.pieces()
        caller = request.header(b"authorization")
        before = self._names.cell_of(caller, place.name)
        home = home_of_body(content, self._cells) if isinstance(content, bytes) else None
        refusal: httpx.Response | None = None
        for cell in self._may_create(before, home, order):
            self._names.note(caller, place.name, cell.name)
            try:
                answer = await passed_on(self._client, cell, request, content)
            except (NotSent, InDoubt) as failure:
                self._health.failed(cell)
                if isinstance(failure, InDoubt):
                    raise CellUnavailable from None
                answer = None
            if answer is not None and not await self._is_refused(answer):
                if answer.status_code >= 500:
                    self._health.failed(cell)
                elif answer.status_code >= 400 and before is None:
                    self._names.forget(caller, place.name)
                return answer
            refusal = answer or refusal
            if before is None:
                self._names.forget(caller, place.name)
            if not place.reads and body.is_begun:
                break  # it went by and cannot be sent again
        if refusal is None:
            raise CellUnavailable
        return refusal

    def _may_create(self, before: str | None, home: Cell | None, order: Sequence[Cell]) -> Sequence[Cell]:
        if before is not None:
            return [self._cells[before]]
        return self._health.first(order) if home is None else [home]

    async def _is_refused(self, answer: httpx.Response) -> bool:
        """Whether a cell says that it has accepted nothing and another one may."""
        if answer.status_code != 503:
            return False
        await answer.aread()
        try:
            return answer.json().get("code") in REFUSED
        except (ValueError, AttributeError):
            return False  # of something before the cell

    def _own_state(self, path: str) -> JSONResponse:
        if path == _LIVE:
            return JSONResponse({"status": "alive"})
        works = {name: self._health.works(cell) for name, cell in self._cells.items()}
        said = {name: "works" if each else "takes no work" for name, each in works.items()}
        if not any(works.values()):
            raise CellUnavailable
        return JSONResponse({"status": "ready", "cells": said})

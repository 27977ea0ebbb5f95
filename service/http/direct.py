"""Routes whose functions are called directly, for what clients ask most: a new edit, and how one stands.

They are declared as every FastAPI route is, and FastAPI describes them. To call a function, FastAPI walks through all
that it depends on, with two exit stacks, a cache and a look for overrides. That takes longer than Redis takes to answer
(`benchmarks.api`). A function that depends on the plane and the caller alone, and answers with a `Response`, needs none
of it. So its arguments are collected here, from what FastAPI has read in its signature, and FastAPI's own fields check
them: what is wrong is the same 422. `tests/unit/service/test_direct.py` asks both ways.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from starlette.types import Receive, Scope, Send

from layers.request_headers import headers_of
from service.http.bodies import JsonRoute
from service.http.dependencies import PROVIDED
from service.http.keyed import Answering

#: What a request says of the parameters of one kind, by their names.
Said = Callable[[Request], Mapping[Any, Any]]


def _path(request: Request) -> Mapping[Any, Any]:
    return request.scope["path_params"]


def _query(request: Request) -> Mapping[Any, Any]:
    return request.query_params if request.scope["query_string"] else {}


def _headers(request: Request) -> Mapping[Any, Any]:
    return headers_of(request.scope)


class Parameter:
    """One parameter of a function.

    Args:
        kind: "path", "query" or "header".
    """

    def __init__(self, kind: str, field: ModelField) -> None:
        self.name, self._field, self._loc = field.name, field, (kind, field.alias)
        self.key = field.alias.encode() if kind == "header" else field.alias
        #: A path has all of its parameters, and each other one has a default, which nothing changes.
        self.default = None if kind == "path" else field.default

    def checked(self, value: str | bytes) -> tuple[Any, list[Any]]:
        """A value as the function takes it, and what is wrong with it."""
        return self._field.validate(value.decode("latin-1") if isinstance(value, bytes) else value, loc=self._loc)


class Arguments:
    """Collects the arguments of a route's function.

    Raises:
        TypeError: where it depends on more than is collected here.
    """

    def __init__(self, dependant: Dependant) -> None:
        known = {each.call for each in dependant.dependencies} <= PROVIDED.keys()
        if not known or dependant.cookie_params or dependant.response_param_name:
            raise TypeError(f"{dependant.call} depends on more than a DirectRoute knows: make it a JsonRoute")
        self._provided = [(each.name or "", PROVIDED[each.call]) for each in dependant.dependencies]
        self._request, self._bodies = dependant.request_param_name, [field.name for field in dependant.body_params]
        kinds: tuple[tuple[str, Said, list[ModelField]], ...] = (
            ("path", _path, dependant.path_params),
            ("query", _query, dependant.query_params),
            ("header", _headers, dependant.header_params),
        )
        self._kinds = [(said, [Parameter(kind, each) for each in fields]) for kind, said, fields in kinds if fields]

    async def of(self, request: Request) -> Mapping[str, Any]:
        """What a request gives the function.

        Raises:
            RequestValidationError: with every parameter that is wrong.
        """
        found: dict[str, Any] = {name: await provided(request) for name, provided in self._provided}
        errors: list[Any] = []
        for said, parameters in self._kinds:
            given = said(request)
            for each in parameters:
                value = given.get(each.key)
                if value is None:
                    found[each.name] = each.default
                else:
                    found[each.name], wrong = each.checked(value)
                    errors += wrong
        if errors:
            raise RequestValidationError(errors)
        if self._request is not None:
            found[self._request] = request
        for name in self._bodies:
            found[name] = await request.json()  # as `JsonRoute` has read it
        return found


class DirectRoute(JsonRoute):
    """A route whose function answers with a `Response` and is called without FastAPI."""

    def calling(self) -> Answering:
        """Its function, with the arguments that a request gives it."""
        arguments, function = Arguments(self.dependant), self.endpoint

        async def called(request: Request) -> Any:
            return await function(**await arguments.of(request))

        return called

    def get_route_handler(self) -> Answering:
        """As `JsonRoute` answers; kept, for `handle` calls it."""
        self._answered = super().get_route_handler()
        return self._answered

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what is raised becomes a problem document outside of here."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        response = await self._answered(Request(scope, receive))
        await response(scope, receive, send)

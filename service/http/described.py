"""The OpenAPI document of our routes: errors are problem documents, and answers keep their names.

FastAPI describes every answer as application/json and every refused body as its own 422; ours are problem documents.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.routing import Route

from service.http.errors import MEDIA_TYPE, phrase_of
from service.http.links import add_links
from service.http.scopes import needed

_OWN_422 = "HTTPValidationError"
#: How FastAPI calls the schema of a form, before the operation's name.
_FORM = "Body_"
_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def operation_id(route: APIRoute) -> str:
    """Operations are called as their functions are: generated clients have methods of these names."""
    return route.name


def install_openapi(app: FastAPI) -> None:
    """Have an app describe its errors as what they are."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _titled(_named(_in_words(_with_problems(describe()))))
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
    rendered: list[bytes] = []

    async def as_json(_: Request) -> Response:
        # Written once: everybody may ask for it, and writing 165 kB anew for each holds up all others.
        if not rendered:
            rendered.append(bytes(JSONResponse(described()).body))
        return Response(rendered[0], media_type="application/json")

    others = [route for route in app.router.routes if getattr(route, "path", None) != app.openapi_url]
    app.router.routes[:] = [*others, Route(str(app.openapi_url), as_json, include_in_schema=False)]


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                # Under whatever media type the route's own answers have.
                schemas = [content.get("schema", {}) for content in response.get("content", {}).values()]
                if any(schema == _PROBLEM or schema.get("$ref", "").endswith(_OWN_422) for schema in schemas):
                    response["content"] = {MEDIA_TYPE: {"schema": _PROBLEM}}
    for path in document.get("webhooks", {}).values():
        for operation in path.values():
            # What the receiver of a webhook answers is its own.
            operation["responses"].pop("422", None)
    for name in (_OWN_422, "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    for name, schema in document["components"]["schemas"].items():
        if name.startswith(_FORM):
            # As every body: what is not described is refused (`service.http.bodies`).
            schema["additionalProperties"] = False
    add_links(document)
    _with_scopes(document)
    return document


def _with_scopes(document: dict[str, Any]) -> None:
    """Have each operation that needs a key say which scopes a token needs for it (OpenAPI 3.1, 4.8.30)."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "security" in operation:
                scopes = list(needed(method.upper(), path))
                operation["security"] = [{name: scopes for name in each} for each in operation["security"]]
                # In the shape that the address has for those without a key.
                without_key = operation["responses"].get("401", {"content": {MEDIA_TYPE: {"schema": _PROBLEM}}})
                refused = {"description": phrase_of(403), "content": without_key["content"]}
                operation["responses"].setdefault("403", refused)
                operation["responses"] = dict(sorted(operation["responses"].items()))


def _in_words(document: Any) -> Any:
    """Defaults that are objects, said in the description; and files as what generators take for files.

    Where a field takes an object or null, openapi-python-client reads no such default, and leaves out the schema with
    all that uses it.
    """
    if isinstance(document, list):
        return [_in_words(each) for each in document]
    if not isinstance(document, dict):
        return document
    made = {name: _in_words(value) for name, value in document.items()}
    if made.get("contentMediaType") == "application/octet-stream":
        made["format"] = "binary"  # what generators know a file by, since OpenAPI 3.0
    if isinstance(made.get("default"), dict) and made.keys() & {"anyOf", "oneOf", "$ref", "allOf"}:
        default = f"Where absent, `{json.dumps(made.pop('default'))}`."
        made["description"] = f"{made['description']} {default}" if "description" in made else default
    return made


def _named(document: Any) -> Any:
    """Schemas that differ between requests and answers: an answer's keeps the name, a request's is called `...Input`.

    What a request may leave out may be null there, and never is in an answer. FastAPI would rename both, and with them
    the types of every generated client.
    """
    if isinstance(document, dict):
        return {_renamed(name): _named(value) for name, value in document.items()}
    if isinstance(document, list):
        return [_named(value) for value in document]
    return _renamed(document) if isinstance(document, str) and document.startswith("#/components/") else document


def _titled(document: dict[str, Any]) -> dict[str, Any]:
    """Each schema has its name as its title: by that some generators call their classes, and two must differ."""
    schemas = document["components"]["schemas"]
    document["components"]["schemas"] = {
        name: {part: _referring(value, schemas) for part, value in schema.items()} for name, schema in schemas.items()
    }
    for name, schema in document["components"]["schemas"].items():
        if "title" in schema:
            schema["title"] = name
    return document


def _referring(document: Any, schemas: Mapping[str, Any]) -> Any:
    """A schema that pydantic wrote out in its place, because it has a default there, as a reference."""
    if isinstance(document, list):
        return [_referring(each, schemas) for each in document]
    if not isinstance(document, dict):
        return document
    title, fields = document.get("title"), document.get("properties")
    if isinstance(fields, dict) and isinstance(title, str) and schemas.get(title, {}).get("properties") == fields:
        default = (
            {"description": f"Where absent, `{json.dumps(document['default'])}`."} if "default" in document else {}
        )
        return {"$ref": f"#/components/schemas/{title}", **default}
    return {name: _referring(value, schemas) for name, value in document.items()}


def _renamed(name: str) -> str:
    return re.sub(r"-Input$", "Input", re.sub(r"-Output$", "", name))

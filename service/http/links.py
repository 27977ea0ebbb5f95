"""Where a client may go from an answer (OpenAPI's `links`): from an id in it to every operation that takes it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

#: What an answer is of, by its schema: the parameter that its `id` is for.
_IDS: Mapping[str, str] = {
    "EditAccepted": "edit_id",
    "EditView": "edit_id",
    "BatchView": "batch_id",
    "ImageView": "image_id",
}
_PARAMETER = re.compile(r"\{(\w+)\}")


def add_links(document: dict[str, Any]) -> None:
    """Have every answer with an id say which operations take it.

    Left out is PUT, whose id is the client's own to choose.
    """
    takers: dict[str, dict[str, Any]] = {}
    for path, method, operation in _operations(document):
        if (found := _PARAMETER.search(path)) and method != "put":
            link = {"operationId": operation["operationId"], "parameters": {found[1]: "$response.body#/id"}}
            takers.setdefault(found[1], {})[_name(operation)] = link
    for _, _, operation in _operations(document):
        for status, response in operation["responses"].items():
            if status.startswith("2") and (parameter := _id_in(response)):
                response["links"] = takers[parameter]


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        yield from ((path, method, operation) for method, operation in operations.items())


def _name(operation: Mapping[str, Any]) -> str:
    return operation["summary"].lower().replace(" ", "_")


def _id_in(response: Mapping[str, Any]) -> str | None:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    # An answer of several kinds is an edit's in every case.
    of = [each.get("$ref", "").rpartition("/")[2] for each in (schema, *schema.get("anyOf", ()))]
    return next((_IDS[name] for name in of if name in _IDS), None)

"""What is wrong with a declared model, a plain line a field: what was given, and what is needed."""

import json
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

#: What is needed, by pydantic's type of the error. Other types keep pydantic's own words.
_NEEDED: Mapping[str, str] = {
    "literal_error": "one of {expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "less than {lt:g}",
    "less_than_equal": "{le:g} or less",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length} at most",
    "string_type": "a string",
    "path_type": "a string",
    "tuple_type": "a list",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_too_short": "a string of {min_length} characters or more",
    "string_too_long": "a string of {max_length} characters at most",
    "string_pattern_mismatch": "a string that matches {pattern}",
}
#: Characters of a given value that are shown.
_SHOWN = 60


def lines_of(error: ValidationError, kind: type[BaseModel]) -> Sequence[str]:
    """A line for each field of a table that is wrong.

    Args:
        kind: the model that the table was read as.
    """
    found: dict[str, list[tuple[ErrorDetails, type[BaseModel] | None]]] = {}
    for each in error.errors():
        name, owner = _place(each["loc"], kind)
        found.setdefault(name, []).append((each, owner))
    # Of a field that may be one of two types, the line about an entry says more than that about the whole.
    inner = [name for name in found if not any(other.startswith(f"{name}[") for other in found)]
    return [_line(name, found[name]) for name in inner]


def _place(loc: Sequence[int | str], kind: type[BaseModel]) -> tuple[str, type[BaseModel] | None]:
    """A field's name as the file has it, without pydantic's labels of unions, and the model that the field is of."""
    name, owner, at = "", kind, kind if loc else None
    for step in loc:
        if isinstance(step, int):
            name += f"[{step}]"
        elif at is not None:
            name, owner = f"{name}.{step}" if name else step, at
            at = _table_of(at.model_fields.get(step))
    return name, owner


def _line(name: str, errors: Sequence[tuple[ErrorDetails, type[BaseModel] | None]]) -> str:
    error, owner = errors[0]
    if not name and error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "extra_forbidden":
        return f"unknown field `{name}`: the known ones are {_names(owner)}"
    if error["type"] == "missing":
        return f"`{name}` is missing: add it{_described(owner, name)}"
    if "url" not in error:  # a rule of our own, whose message is whole
        return f"`{name}`: {error['msg']}"
    needed = " or ".join(dict.fromkeys(_needed(each, name, owner) for each, _ in errors))
    return f"`{name or 'models'}` is {shown(error['input'])}: it must be {needed}"


def _needed(error: ErrorDetails, name: str, owner: type[BaseModel] | None) -> str:
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"a table{_described(owner, name)}"
    wanted = _NEEDED.get(error["type"])
    return wanted.format(**error.get("ctx", {})) if wanted else error["msg"].removeprefix("Input should be ")


def _described(owner: type[BaseModel] | None, name: str) -> str:
    field = owner.model_fields.get(name.rpartition(".")[2]) if owner else None
    if field is None:
        return ""
    if table := _table_of(field):
        return f", with {_names(table)}"
    return f" ({field.description.rstrip('.')})" if field.description else ""


def _names(kind: type[BaseModel] | None) -> str:
    return ", ".join(f"`{name}`" for name in (kind.model_fields if kind else ()))


def _table_of(field: FieldInfo | None) -> type[BaseModel] | None:
    """The model that a field's value, or each entry of it, is read as; None if it is no table of fields."""
    kind: Any = field.annotation if field else None
    if get_origin(kind) in (Union, UnionType):
        kind = get_args(kind)[0]  # the other one is None, where it is a table
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def shown(value: Any) -> str:
    """A given value as the file may have it, not longer than a line can hold."""
    said = json.dumps(value, ensure_ascii=False, default=str)
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}..."

"""What pydantic says about a body, as complaints a client can act on: a JSON pointer, a stable code, what to do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from p2p.spec import KINDS, METHODS, any_of
from service.http.text_forms import in_words

#: Complaints in one answer; a body of nothing but mistakes must not become a larger answer.
MAX_COMPLAINTS = 32
#: Characters of one complaint's pointer and detail: both can hold what was sent.
MAX_CHARACTERS = 500

#: pydantic's types whose name or message says less than is known here. `{...}` are filled from pydantic's context.
_PLAINER: Mapping[str, tuple[str, str]] = {
    "extra_forbidden": ("unknown_field", "there is no such field: remove it, or correct its name"),
    "missing": ("missing_field", "this field is needed: add it"),
    "string_too_short": ("too_short", "needs at least {min_length} character(s): write something"),
    "string_too_long": ("too_long", "takes at most {max_length} characters: shorten it"),
    "too_short": ("too_few", "needs at least {min_length}: add one"),
    "too_long": ("too_many", "takes at most {max_length}: send fewer"),
    "greater_than_equal": ("out_of_range", "must be at least {ge}"),
    "less_than_equal": ("out_of_range", "must be at most {le}"),
    "union_tag_invalid": ("unknown_edit_kind", "there is no such kind of edit: choose one of {expected_tags}"),
    "union_tag_not_found": ("missing_edit_kind", f"needs a `kind`: {any_of(KINDS)}"),
    "tuple_type": ("wrong_type", "must be a list"),
    "model_type": ("wrong_type", "must be a JSON object"),
    "model_attributes_type": ("wrong_type", "must be a JSON object"),
    "dict_type": ("wrong_type", "must be a JSON object"),
    "json_invalid": ("value_not_json", "this is JSON, as text: a JSON object such as {{}}"),
    "int_parsing_size": ("out_of_range", "has more digits than any number here"),
    "string_type": ("wrong_type", "must be a string"),
    "string_unicode": ("wrong_type", "must be text that can be written as UTF-8"),
    "int_type": ("wrong_type", "must be a whole number, without quotes"),
    "int_parsing": ("wrong_type", "must be a whole number"),
    "int_from_float": ("wrong_type", "must be a whole number"),
    "float_type": ("wrong_type", "must be a number, without quotes"),
    "float_parsing": ("wrong_type", "must be a number"),
    "finite_number": ("wrong_type", "must be a finite number"),
    "bool_type": ("wrong_type", "must be true or false, without quotes"),
    "bool_parsing": ("wrong_type", "must be true or false"),
}
#: What pydantic says of null in a field that needs a value (`p2p.part` lets null pass in all others).
_NOT_NULL = frozenset(
    {"string_type", "tuple_type", "model_type", "model_attributes_type", "int_type", "float_type", "bool_type",
     "literal_error"}
)  # fmt: skip

#: Unions whose members are told apart by a name: where they stand in an edit ("" is an index), and their names.
#: pydantic puts the name into the location behind that; it is no part of the body.
_UNIONS: Sequence[tuple[tuple[str, ...], Collection[str]]] = (
    (("targets", "", "edits", ""), KINDS),
    (("edits", ""), KINDS),  # of OpenAI's clients
    (("inversion",), METHODS),
)


@dataclass(frozen=True)
class Complaint:
    """What is wrong with one field of a body."""

    pointer: str
    code: str
    detail: str

    @classmethod
    def at(cls, *location: str | int, code: str, detail: str) -> "Complaint":
        """A complaint about the field at a location."""
        return cls(pointer_to(location), code, _safe(detail))

    def within(self, *location: str | int) -> "Complaint":
        """The same about a body that is a part of another one."""
        return replace(self, pointer=pointer_to(location) + self.pointer)


def complaints_about(errors: Sequence[Mapping[str, Any]]) -> tuple[Complaint, ...]:
    """FastAPI's validation errors as complaints, in the order of the body."""
    return tuple(_complaint(_location(error["loc"]), error) for error in errors[:MAX_COMPLAINTS])


def pointer_to(location: Sequence[str | int]) -> str:
    """The JSON pointer (RFC 6901) of a location; "" is the whole body."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return _safe("".join(f"/{part}" for part in parts))


def _complaint(location: tuple[str | int, ...], error: Mapping[str, Any]) -> Complaint:
    # A body that is null alone; FastAPI takes it for one that is not there.
    kind = "model_type" if error["type"] == "missing" and not location else error["type"]
    if kind in _NOT_NULL and error.get("input") is None and location and isinstance(location[-1], str):
        absent = "this field is needed, and null means that it is absent: give it a value"
        return Complaint.at(*location, code="missing_field", detail=absent)
    if kind == "union_tag_invalid" and error["input"].get("kind", "") is None:
        kind = "union_tag_not_found"
    code, detail = _PLAINER.get(kind, (kind, None))
    if kind == "string_pattern_mismatch":
        detail = in_words(error["ctx"]["pattern"])
    message = error["msg"] if detail is None else detail.format(**error.get("ctx", {}))
    return Complaint.at(*location, code=code, detail=message)


def _location(loc: Sequence[str | int]) -> tuple[str | int, ...]:
    """Where in the body it is: without FastAPI's "body", and without the names that pydantic puts behind unions."""
    path = tuple(loc[1:])
    if path[-1:] == ("[key]",):  # pydantic's way to say that it is about the name
        path = path[:-1]
    # A batch's edits have an index of their own in front.
    starts = (0, 2) if path[:1] == ("edits",) else (0,)
    for first, (union, names) in product(starts, _UNIONS):
        last = first + len(union)
        fits = len(path) > last and all(step in ("", at) for step, at in zip(union, path[first:], strict=False))
        if fits and path[last] in names:
            return (*path[:last], *path[last + 1 :])
    return path


def _safe(text: str) -> str:
    """Text that can be sent: JSON may bring half a character pair, which UTF-8 cannot write."""
    shown = text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"
    return shown.encode("utf-8", "replace").decode()

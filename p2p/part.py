"""The base of everything that a client can send: frozen, without unknown fields, `null` as absent, strict types.

Both rules are applied to every field of every subclass when its class is made, so that a new field has them too:

- A field that has a default takes `None` (JSON's null) for "not given": the default stands, and the field does not
  count as set. A field without a default refuses it as any other wrong type.
- A number is no text and no truth value: `"5"` and `true` are refused where a number is needed, `1` and `"yes"` where
  `true` or `false` is. JSON has one type of number, and JSON Schema counts `5.0` among the integers: so does this.

Python's own values go the same way: a list does for a tuple, and numpy's numbers for numbers.
"""

from collections.abc import Callable
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

#: What pydantic makes of a model's fields: values, extra ones, and the names of those that were given.
Fields = tuple[dict[str, Any], dict[str, Any] | None, set[str]]


def _model_of(schema: Any) -> core_schema.ModelSchema:
    """The model inside of its validators."""
    while schema["type"] != "model":
        schema = schema["schema"]
    return cast(core_schema.ModelSchema, schema)


def _apply_rules(cls: type[BaseModel], model: core_schema.ModelSchema) -> None:
    holder: Any = model
    while holder["schema"]["type"] != "model-fields":
        if holder["schema"].get("metadata", {}).get("null_is_absent"):
            return  # A class that is used again brings its finished schema.
        holder = holder["schema"]
    fields = holder["schema"]["fields"]
    for field in fields.values():
        field["schema"] = _strict(field["schema"])
        if field["schema"]["type"] == "default":
            field["schema"]["schema"] = _nullable(field["schema"]["schema"])
    holder["schema"] = core_schema.no_info_after_validator_function(
        _defaults_for_null(cls), holder["schema"], metadata={"null_is_absent": True}
    )


def _nullable(schema: CoreSchema) -> CoreSchema:
    """A field's schema that takes null; an answer never has it, for there the default stands."""
    # A literal of one value is the tag of a union: a part without it is of no kind.
    if schema["type"] == "nullable" or (schema["type"] == "literal" and len(schema["expected"]) == 1):
        return schema
    return core_schema.nullable_schema(schema, metadata={"pydantic_js_functions": [_null_in_requests_only]})


def _null_in_requests_only(schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    is_answer = handler.mode == "serialization"
    return handler(cast(core_schema.NullableSchema, schema)["schema"] if is_answer else schema)


def _defaults_for_null(cls: type[BaseModel]) -> Callable[[Fields], Fields]:
    def replaced(given: Fields) -> Fields:
        fields, extra, given_names = given
        for name in given_names:
            if fields[name] is None:
                break
        else:
            return given
        for name in [name for name in given_names if fields[name] is None]:
            field = cls.model_fields[name]
            if not field.is_required():
                fields[name] = field.get_default(call_default_factory=True)
                given_names.discard(name)
        return fields, extra, given_names

    return replaced


def _strict(schema: Any) -> Any:
    """A schema whose numbers and truth values are strict, however deep they lie; other parts have their own."""
    if schema["type"] == "int":
        return core_schema.no_info_before_validator_function(_whole_number, schema)
    if schema["type"] in ("float", "bool"):
        return {**schema, "strict": True}
    if schema.get("function", {}).get("function") is _whole_number:
        return schema
    changed = dict(schema)
    for key in ("schema", "items_schema", "keys_schema", "values_schema"):
        if isinstance(schema.get(key), list):
            changed[key] = [_strict(each) for each in schema[key]]
        elif isinstance(schema.get(key), dict) and schema["type"] != "model":
            changed[key] = _strict(schema[key])
    if schema["type"] == "union":
        changed["choices"] = [_strict(choice) for choice in schema["choices"]]
    return changed


def _whole_number(given: Any) -> Any:
    """Lets only numbers through to pydantic's own check; its strict mode would refuse 5.0."""
    if isinstance(given, bool | str | bytes | bytearray):
        raise PydanticKnownError("int_type")
    return given


class Part(BaseModel):
    """Base of all parts of a spec, and of every request body."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    # What is at its default is the default itself. Without this, to leave defaults out takes half as long again.
    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        # The definition itself, in place: whatever refers to it then has the rules, too.
        model = _model_of(handler.resolve_ref_schema(schema))
        _apply_rules(cls, model)
        return schema

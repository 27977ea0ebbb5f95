"""Bodies as the models of their routes, and what is wrong with them, in work that is bounded.

pydantic notes every mistake before it reports any, and reports all in one call that nothing can interrupt: 0.3 s for
the 120,000 mistakes that a body has room for. So a body of many values is read by the same schema made short of breath:
each list is read up to its first wrong item, and an object with far more members than any has is refused at once.
"""

from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

#: Values beyond which a body is read up to the first mistake of each list. The usual edit has about 20.
MANY_VALUES = 1_000
#: The largest object of any body has 14 members.
MOST_MEMBERS = 64


class FirstMistakes(RequestValidationError):
    """What is wrong with a body that was not read to the end."""


class BodyModel:
    """Reads the bodies of one model."""

    def __init__(self, model: type[BaseModel]) -> None:
        # `model_validate` adds a fifth to the time that the usual edit takes.
        self._whole = model.__pydantic_validator__
        self._brief = SchemaValidator(_brief(model.__pydantic_core_schema__), None, False)

    def read(self, body: Any, values: int) -> BaseModel:
        """The model of a body.

        Args:
            body: plain data.
            values: about how many values it has.
        Raises:
            RequestValidationError: with what is wrong with it, as FastAPI raises it; `FirstMistakes` where there may be
                more.
        """
        is_brief = values > MANY_VALUES
        try:
            return (self._brief if is_brief else self._whole).validate_python(body)
        except ValidationError as error:
            errors = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
        raise FirstMistakes(errors) if is_brief else RequestValidationError(errors)


def _brief(schema: Any) -> Any:
    """A core schema whose lists end at their first mistake, and whose objects have few members."""
    if isinstance(schema, list | tuple):
        return type(schema)(map(_brief, schema))
    if not isinstance(schema, Mapping):
        return schema
    made = {name: part if name == "metadata" else _brief(part) for name, part in schema.items()}
    match made.get("type"):
        case "tuple" | "list":
            made["fail_fast"] = True
        case "model-fields":
            return core_schema.no_info_before_validator_function(_few_members, made)
    return made


def _few_members(given: Any) -> Any:
    if isinstance(given, dict) and len(given) > MOST_MEMBERS:
        raise PydanticCustomError(
            "too_many_fields",
            "has {count} fields, and none takes more than {most}: leave out those that are not described",
            {"count": len(given), "most": MOST_MEMBERS},
        )
    return given

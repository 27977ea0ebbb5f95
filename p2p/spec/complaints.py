"""What is wrong with a spec: how it is raised, and rules about the number of things."""

from collections.abc import Sequence

from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticKnownError

#: Complaints of one spec: a body of nothing but wrong names is not worked off to its end.
MAX_COMPLAINTS = 64
#: Names of one spec. A prompt has some 75 words at most where CLIP reads it, and an edit a handful of names; thousands
#: only keep the service busy.
MAX_NAMES = 2_048
#: Context of a validation that reads what was accepted before: rules that came later refuse no record.
RECORDED = {"recorded": True}

#: The way to a field, from the part that complains.
Location = tuple[int | str, ...]
#: Where, a stable code, and a message.
Complaint = tuple[Location, str, str]


def invalid(complaints: Sequence[Complaint]) -> ValidationError:
    """Complaints as pydantic's own error, which keeps each one's location below that of the part that raises it."""
    return ValidationError.from_exception_data(
        "EditSpec",
        [
            InitErrorDetails(type=PydanticCustomError(code, message), loc=loc, input=None)
            for loc, code, message in complaints
        ],
    )


def counted(least: int, most: int) -> tuple[AfterValidator, FieldInfo]:
    """How many items a tuple has: an annotation that complains of the count only where every item is right."""

    # pydantic's own min_length counts the valid items only, and would add "too short" to any item's complaint.
    def check(items: tuple) -> tuple:
        if len(items) < least:
            raise PydanticKnownError(
                "too_short", {"field_type": "Tuple", "min_length": least, "actual_length": len(items)}
            )
        if len(items) > most:
            raise PydanticKnownError(
                "too_long", {"field_type": "Tuple", "max_length": most, "actual_length": len(items)}
            )
        return items

    return AfterValidator(check), Field(json_schema_extra={"minItems": least, "maxItems": most})

"""Labels as clients send them: a subject and metadata, in bodies, forms and queries."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, Field, Json, StringConstraints
from pydantic_core import PydanticCustomError

from jobs.labels import METADATA_NAME, MOST_METADATA, MOST_TEXT, SUBJECT

Subject = Annotated[str, StringConstraints(pattern=SUBJECT)]
ABOUT_SUBJECT = (
    "For whom it is made: a pseudonym of yours, no name and no address. `DELETE /v1/subjects/{subject}` erases all "
    "that is a subject's."
)
ABOUT_METADATA = "Texts of yours, to find it by. They decide nothing, and come back in every answer about it."


def _few(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    # First: each name of a larger one would be a mistake of its own.
    if len(given) > MOST_METADATA:
        message = "has {actual_length} names, and may have {max_length}: leave some out"
        said = {"field_type": "Dictionary", "actual_length": len(given), "max_length": MOST_METADATA}
        raise PydanticCustomError("too_long", message, said)
    # As for every field: what is null is absent.
    return {name: text for name, text in given.items() if text is not None}


Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(pattern=METADATA_NAME)],
        Annotated[str, StringConstraints(max_length=MOST_TEXT)],
    ],
    Field(max_length=MOST_METADATA),
    BeforeValidator(_few),
]

#: The same in a form, as a JSON object.
MetadataText = Json[Metadata]


def _one_text_each(given: list[str]) -> list[str]:
    texts: dict[str, str] = {}
    for name, _, text in (each.partition("=") for each in given):
        if texts.setdefault(name, text) != text:
            message = "{name} is asked for with two texts, which nothing has both: ask for them one after the other"
            raise PydanticCustomError("metadata_conflict", message, {"name": name})
    return given


#: Of a list: only what is a subject's, and only what has all of these names with these texts.
SubjectAsked = Annotated[Subject | None, Query(description="Only what is made for this subject.")]
MetadataAsked = Annotated[
    list[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}=", max_length=64 + 1 + MOST_TEXT)]
    ],
    AfterValidator(_one_text_each),
    Query(max_length=MOST_METADATA, description="Only what has this in its metadata: `name=text`; several mean all."),
]


def asked_for(metadata: list[str]) -> Mapping[str, str]:
    """What a list is asked for."""
    return dict(each.split("=", 1) for each in metadata)

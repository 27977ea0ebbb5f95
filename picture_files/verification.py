"""What a picture's file says of its origin, as `POST /v1/verifications` answers it."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from jobs.images import ImageFormat

#: How much of what a stranger's file says is repeated.
MAX_TEXT, MAX_NAMED = 500, 100


class Ingredient(BaseModel):
    """A picture that this one was made from, by the credentials."""

    title: str | None
    relationship: str | None = Field(description="`parentOf`, `componentOf` or `inputTo`.")
    credentials: bool = Field(description="Whether it had credentials of its own, which these hold.")


class FileCredentials(BaseModel):
    """C2PA Content Credentials, checked."""

    state: Literal["trusted", "valid", "invalid"] = Field(
        description="`valid`: signed, and nothing was changed since. `trusted`: by somebody of this installation's "
        "`TRUST_ANCHORS` as well. `invalid`: see `problems`."
    )
    problems: tuple[str, ...] = Field(description=f"C2PA's own codes of what failed, {MAX_NAMED} at most.")
    signed_by: str | None = Field(description="The organisation in the certificate. Anybody can write anything there.")
    signed_at: datetime | None = Field(description="By a time stamp authority; null where none was asked.")
    generator: str | None = Field(description="The program that made the credentials, by its own words.")
    ingredients: tuple[Ingredient, ...] = Field(description=f"{MAX_NAMED} at most.")
    job: str | None = Field(description="The id of the edit, of a picture that a service of this kind has made.")
    manifest_digest: str | None = Field(description="SHA-256 of that edit's manifest.json.")


class Verification(BaseModel):
    """What a file says of its origin. What it does not say may be true all the same: marks can be removed."""

    format: ImageFormat
    marked: bool = Field(description="Whether it says that a model made it, or a part of it.")
    source_type: str | None = Field(
        description="IPTC's DigitalSourceType, such as trainedAlgorithmicMedia: that of the credentials where they "
        "hold, else that of the XMP, which anybody can change."
    )
    credentials: FileCredentials | None = Field(description="Null where the file has none.")

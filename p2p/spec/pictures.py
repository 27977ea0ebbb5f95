"""Pictures that were not generated: the one that is edited, and masks."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from p2p.part import Part
from p2p.spec.complaints import invalid

#: "transparency" is the opposite of "alpha": where a picture is clear another one may change.
ReadBy = Literal["alpha", "colour", "transparency"]
#: With the name of a cell before it in an installation that has several.
UploadId = Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9]{0,15}-)?img_[0-9a-f]{32}$")]
#: A data: URL holds the picture itself, so nothing but the request's own limit bounds its length; of others the service
#: takes 2,048 characters.
PictureUrl = Annotated[str, StringConstraints(min_length=1)]


def _named_once(upload: str | None, url: str | None) -> None:
    """Raises pydantic's error where a picture is named twice or not at all."""
    if upload is not None and url is not None:
        raise invalid([(("url",), "image_named_twice", "both an upload and a URL are named: keep one of them")])
    if upload is None and url is None:
        message = "no picture is named: send one with POST /v1/images, and give its id here"
        raise invalid([(("upload",), "image_not_named", message)])


class MaskImage(Part):
    """A picture that says where another one may change: where this one is painted.

    An alpha channel with clear and painted pixels says it, whatever the colours are. Otherwise a pixel is painted where
    the strongest of its red, green and blue is in the lighter half: white and every full colour may change, black must
    not. A mask that is all painted or not painted at all is refused (`mask_uniform`).
    """

    upload: UploadId | None = Field(
        None,
        description="The id that `POST /v1/images` gave; or `url`. The mask has the shape of the picture that is "
        "edited, at any resolution, and is fitted as that one is.",
    )
    url: PictureUrl | None = Field(
        None,
        description="Where the mask lies, as http(s):// or data: URL, if the installation takes URLs; fetched when the "
        "edit is posted.",
    )
    read_by: ReadBy | None = Field(
        None,
        description='By what it is read: its "alpha" channel, or its "colour" as it is laid on white. Where absent, by '
        'the rule above; the answer says which. "transparency" turns "alpha" round: what is clear may change, as in '
        "masks for OpenAI's API.",
    )

    @property
    def name(self) -> str:
        """What it is called among a job's masks: read in another way, the same picture is another mask."""
        return f"{self.upload or self.url}{'' if self.read_by is None else f':{self.read_by}'}"

    @model_validator(mode="after")
    def _one(self) -> Self:
        _named_once(self.upload, self.url)
        return self


class SourceImage(Part):
    """A picture that was not generated, to be edited."""

    upload: UploadId | None = Field(None, description="The id that `POST /v1/images` gave; or `url`.")
    url: PictureUrl | None = Field(
        None,
        description="Where the picture lies, as http(s):// or data: URL, if the installation takes URLs; fetched when "
        "the edit is posted.",
    )
    # Cover: the model is given a picture like those it was trained on, without margins, which it would take for a part
    # of the picture; and what is cut off is the one part that comes back untouched.
    fit: Literal["cover", "contain"] = Field(
        "cover",
        description='How it is brought to the model\'s size: "cover" edits the largest part in its middle of the '
        'model\'s shape, and what is outside stays as it is; "contain" edits all of it, within margins of grey. '
        "The edited pictures come back at the picture's own size.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        _named_once(self.upload, self.url)
        return self

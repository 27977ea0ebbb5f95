"""Requests for inversions that are to be kept, and answers about those that are."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from jobs.inversions import KeptInversion
from jobs.model import Reconstruction
from p2p.spec import (
    MODEL_FIELD,
    Artifacts,
    Direct,
    EditSpec,
    Inversion,
    InversionMethod,
    LoraUse,
    LoraUses,
    ModelName,
    Part,
    Sampling,
    Source,
)
from service.edits.submit import Asked


class InversionRequest(Part):
    """A picture that is to be inverted before it is edited; its edits must agree in all of this but the guidance scale,
    and with some methods in that, too; and in its LoRAs (docs/inversion.md)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"source": {"prompt": "a cat on a beach", "image": {"upload": "img_0123456789abcdef0123456789abcdef"}}}
            ]
        }
    )

    model: ModelName | None = Field(None, description=MODEL_FIELD)
    source: Source
    inversion: Inversion = Direct()
    sampling: Sampling = Sampling()
    loras: LoraUses = Field((), description="With which its edits are drawn: one with others inverts the picture anew.")

    @model_validator(mode="after")
    def _of_a_picture(self) -> Self:
        # The same complaints as about an edit of it, at the same places.
        self._spec()
        return self

    def _spec(self) -> EditSpec:
        maps = Artifacts(heatmaps=False, raw_maps=False)
        if self.source.image is None:
            # Of an edit it would be said that targets are missing, which nobody can send here.
            error = PydanticCustomError("image_not_named", "no picture is named: send one with POST /v1/images")
            details = InitErrorDetails(type=error, loc=("source", "image"), input=None)
            raise ValidationError.from_exception_data("InversionRequest", [details])
        return EditSpec(
            model=self.model,
            source=self.source,
            inversion=self.inversion,
            targets=(),
            sampling=self.sampling,
            artifacts=maps,
            loras=self.loras,
        )

    def asked(self, traceparent: str) -> Asked:
        """What is to be made: an edit without targets."""
        return Asked(spec=self._spec(), traceparent=traceparent)


class InversionView(BaseModel):
    """An inversion that is kept."""

    id: str
    image: str = Field(description="Of which picture.")
    model: str
    prompt: str
    method: InversionMethod
    steps: int
    seed: int | None = Field(
        description="Of the job that made it. Of edit_friendly and straight, give it to the edits."
    )
    loras: tuple[LoraUse, ...] = Field(description="With which it was made; it serves edits that name the same ones.")
    reconstruction: Reconstruction
    unet_evaluations: int = Field(description="Rows that went through the UNet for it, which an edit now spares.")
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, inversion: KeptInversion) -> "InversionView":
        """The view of a record."""
        return cls(**{name: getattr(inversion, name) for name in cls.model_fields})


class InversionList(BaseModel):
    """The key's inversions that are kept."""

    inversions: tuple[InversionView, ...]

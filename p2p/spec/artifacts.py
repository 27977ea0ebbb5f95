"""What a run stores, and how."""

from typing import Annotated, Literal

from pydantic import Field

from p2p.part import Part

#: What a picture will be is settled early: four looks at it, a fifth of the run apart, tell all there is to tell.
MAX_PREVIEWS = 4

PictureFormat = Literal["png", "jpeg", "webp"]


class Artifacts(Part):
    """What is stored, and how; pictures and the manifest always are."""

    format: PictureFormat = Field(
        "png",
        description="Of the pictures. png loses nothing; jpeg is of quality 95 with colour at full resolution, webp of "
        "quality 90. Heat maps are always PNG.",
    )
    heatmaps: bool = Field(True, description="One PNG per word and picture: where the word acted.")
    raw_maps: bool = Field(True, description="The averaged maps as one .npz, float32.")
    trajectory: bool = Field(
        False,
        description="The source's run. As long as this job is kept, edits of the same source by the same model and "
        "sampling reuse it, and take less time.",
    )
    # None by default: each is decoded, judged by the moderation hook and stored, and clients that wait for a webhook or
    # polls never sees one.
    previews: Annotated[int, Field(ge=0, le=MAX_PREVIEWS)] = Field(
        0,
        description="How many times, evenly over the run, its events carry a small picture of how it stands: all "
        "pictures side by side, the source first, as one JPEG, each at most 256 pixels wide and high.",
    )

    @property
    def any_maps(self) -> bool:
        """Whether word maps are among the results in any form."""
        return self.heatmaps or self.raw_maps

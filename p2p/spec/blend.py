"""Local blend: where a picture may change."""

from collections.abc import Iterator
from typing import Self

from pydantic import Field, model_validator

from p2p.part import Part
from p2p.spec.complaints import Location, invalid
from p2p.spec.names import Names, WordName
from p2p.spec.pictures import MaskImage
from p2p.spec.windows import Share


class Box(Part):
    """A part of the picture, in shares of its width from the left and of its height from the top."""

    left: Share
    top: Share
    right: Share
    bottom: Share

    @model_validator(mode="after")
    def _has_a_size(self) -> Self:
        for start, stop in (("left", "right"), ("top", "bottom")):
            low, high = getattr(self, start), getattr(self, stop)
            if high <= low:
                message = f"{stop} is {high:g} and {start} is {low:g}: the box needs a size, so {stop} must be more"
                raise invalid([((stop,), "box_empty", message)])
        return self


class LocalBlend(Part):
    """Keeps everything outside a region as it is in the source.

    The region is where the source's or the target's map of the named words is above `threshold` of its maximum, and
    within the box and the mask; without words, it is all that lies within them. What the words to subtract name is no
    part of it. Outside, the pixels are the source's; along
    the edge of a region of words they change gradually.
    """

    words: Names = Field(
        (),
        description="Words of the edited prompt whose region may change; none if `source_words` names what goes.",
    )
    source_words: Names | None = Field(
        None,
        description="Words of the source prompt whose region may change; where absent, those that `words` stand for.",
    )
    subtract_words: Names = Field((), description="Words of the edited prompt whose region must not change.")
    source_subtract_words: Names = Field((), description="Words of the source prompt whose region must not change.")
    box: Box | None = Field(None, description="Outside it nothing changes.")
    mask: MaskImage | None = Field(None, description="Where it is not painted nothing changes.")
    # Left out of what is written where it says no more than its default: an older worker reads no field that it does
    # not know.
    fresh_noise: bool = Field(
        False,
        exclude_if=lambda fresh: not fresh,
        description="Whether the edit starts from noise of its own inside the region that the source's words have: "
        "what was there does not come back. A generated source is then run before its edits.",
    )
    # The null-text reference's defaults: before a fifth of the run the maps say little about the final place.
    # `benchmarks.sweep`: the start hardly matters; a lower threshold keeps less and succeeds no more often.
    start: Share = 0.2
    threshold: Share = Field(
        0.3,
        description="The share of a map's maximum above which it is in the region. Pixels are cut by the map's own "
        "(Otsu's, from 0.2 to 0.5), unless another one than the default is said.",
    )
    subtract_threshold: Share = 0.3

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        named = self.words or self.source_words or self.subtract_words or self.source_subtract_words
        if not named and self.box is None and self.mask is None:
            message = (
                "nothing says where the picture may change: name `words`, or `source_words`, or words to subtract, "
                "or give a `box` or a `mask`"
            )
            raise invalid([(("words",), "blend_without_words", message)])
        return self

    def names(self) -> Iterator[tuple[Location, WordName, bool]]:
        """Every word that it names: its location, its name, and whether the source's prompt must hold it."""
        for field, of_source in (
            ("words", False),
            ("source_words", True),
            ("subtract_words", False),
            ("source_subtract_words", True),
        ):
            names = getattr(self, field) or ()
            yield from (((field, index), name, of_source) for index, name in enumerate(names))

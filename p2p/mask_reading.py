"""How a picture is read as a mask: where it is painted, another picture may change.

Painting programs write masks in many ways, and none says in its file which one. The rule here:

* An alpha channel that has clear and painted pixels says it, whatever the colours are. White on a clear layer, black on
  a clear layer and a stroke in any colour are the same mask.
* Otherwise the colours say it: light may change. A pixel is as light as the strongest of its red, green and blue. So
  every full colour on black is white, where luma (0.30 red + 0.59 green + 0.11 blue) takes pure red and blue for black.

A mask that is all one level after this bounds nothing; who reads it refuses it (`mask_uniform`). Needs no torch.
"""

from typing import TYPE_CHECKING

from PIL import Image, ImageChops

if TYPE_CHECKING:
    # For its types alone: the process that reads pictures has little memory, and pydantic takes a part of it.
    from p2p.spec import ReadBy

#: Alpha from which a pixel counts as painted, a quarter of full. Pages that let people paint over a picture draw with
#: half opacity, so that one sees what is below: a single stroke is 127 or 128 of 255, and several add up. The soft rim
#: of a brush begins at 0.
PAINTED = 64
#: The lighter half of the levels counts as white.
LIGHT = 128


def has_both(share: float | None) -> bool:
    """Whether a share of pixels is neither none nor all of them; None stands for a channel that is not there."""
    return share is not None and 0 < share < 1


def read_by_default(alpha: float | None) -> "ReadBy":
    """By what a mask is read.

    Args:
        alpha: the share of its pixels that its alpha channel has painted; None if it has no alpha.
    """
    return "colour" if alpha is None or alpha == 1 else "alpha"


def by_alpha(alpha: Image.Image) -> Image.Image:
    """White where an alpha channel, of mode L, is painted; black elsewhere."""
    return alpha.point(lambda level: 255 if level >= PAINTED else 0)


def by_colour(picture: Image.Image) -> Image.Image:
    """White where an opaque picture is light, black elsewhere, as a picture of mode L."""
    strongest = picture
    if picture.mode != "L":
        red, green, blue = picture.convert("RGB").split()
        strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return strongest.point(lambda level: 255 if level >= LIGHT else 0)


def mask_of(picture: Image.Image, read_by: "ReadBy | None" = None) -> Image.Image:
    """A picture of any mode as a mask: mode L, white where another one may change, black elsewhere.

    Args:
        read_by: by what it is read; where absent, by the rule above. One without transparency has its colours only.
    """
    if not picture.has_transparency_data:
        return by_colour(picture)
    layers = picture.convert("RGBA")
    painted = by_alpha(layers.getchannel("A"))
    match read_by or read_by_default(white_share(painted)):
        case "alpha":
            return painted
        case "transparency":
            return ImageChops.invert(painted)
    return by_colour(Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers))


def white_share(mask: Image.Image) -> float:
    """The share of a mask's pixels that is white: exactly 0 and 1 for one that is all of one level."""
    return mask.histogram()[255] / (mask.width * mask.height)

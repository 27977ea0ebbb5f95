"""A picture of any size brought to the model's, and what comes of it brought back to the picture's own.

"cover" takes the largest part of the model's shape in the picture's middle; edits are put back into the picture there.
"contain" takes all of it, between margins of grey; edits lose the margins again.
"""

from dataclasses import dataclass
from typing import Literal

from PIL import Image

#: What margins are filled with: the middle of the range, which says least.
MARGIN = (127, 127, 127)

Box = tuple[int, int, int, int]  # left, top, right, bottom; the latter two are outside


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How a picture was brought to the model's size.

    Attributes:
        size: (width, height) of the picture.
        of_picture: the part of it that the model sees.
        of_model: where in the model's picture that is.
    """

    size: tuple[int, int]
    of_picture: Box
    of_model: Box

    def back(self, edited: Image.Image, picture: Image.Image) -> Image.Image:
        """A picture of the model's in the size of the one that was fitted: what it did not see is as it was."""
        part = _resized(edited.crop(self.of_model), _size(self.of_picture))
        if part.size == picture.size:
            return part
        whole = picture.copy()
        whole.paste(part, self.of_picture[:2])
        return whole


def fitted(
    picture: Image.Image, size: tuple[int, int], fit: Literal["cover", "contain"]
) -> tuple[Image.Image, Fitting]:
    """A picture in the model's (width, height), and how it came to it."""
    whole = (0, 0, *picture.size)
    if fit == "cover":
        fitting = Fitting(size=picture.size, of_picture=_middle(picture.size, size), of_model=(0, 0, *size))
        return _resized(picture.crop(fitting.of_picture), size), fitting
    fitting = Fitting(size=picture.size, of_picture=whole, of_model=_middle(size, picture.size))
    paper = Image.new("RGB", size, MARGIN)
    paper.paste(_resized(picture, _size(fitting.of_model)), fitting.of_model[:2])
    return paper, fitting


def _middle(size: tuple[int, int], shape: tuple[int, int]) -> Box:
    """The largest box of another size's shape in the middle of a size; a pixel wide and high at least."""
    width, height = size
    if width * shape[1] > height * shape[0]:
        width = max(1, round(height * shape[0] / shape[1]))
    else:
        height = max(1, round(width * shape[1] / shape[0]))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _size(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS)  # of the same size: the same pixels

"""A picture of any size brought to the model's, and the result brought back to the picture's own.

"cover" takes the largest part of the model's shape in the picture's middle; edits are put back into the picture there,
and fade into it along the part's edges: an edit may shift the shade of a background, and a hard edge would show.
"contain" takes all of it, between margins of grey; edits lose the margins again.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageChops

#: What margins are filled with: the middle of the range, which says least.
MARGIN = (127, 127, 127)
#: What they are of a mask: they may not change.
BLACK = 0
#: The share of the part's side over which an edit fades into the picture around it. Edits of `docs/inversion.md`'s
#: photo differ from it by 2 to 7 levels at the edge (`tests/unit/worker/test_border.py`): over an eighth of 64 pixels
#: that is less than two levels from one pixel to the next, where a pixel beside another differs by one or two anyway.
BORDER = 8

Box = tuple[int, int, int, int]  # left, top, right, bottom; the latter two are outside


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How a picture was brought to the model's size.

    Attributes:
        size: (width, height) of the picture.
        of_picture: the part of it that the model sees.
        model_size: (width, height) of the model's picture.
        of_model: where in that the part is.
    """

    size: tuple[int, int]
    of_picture: Box
    model_size: tuple[int, int]
    of_model: Box

    def seen(self, picture: Image.Image) -> Image.Image:
        """The picture as the model is given it."""
        part = _resized(picture.crop(self.of_picture), _size(self.of_model))
        return self._framed(part, MARGIN)

    def whole_mask(self, mask: Image.Image) -> Image.Image:
        """A mask of the picture, at any resolution, in its size: the lighter half of the greys is white."""
        white = _black_and_white(mask.convert("L"))
        return _black_and_white(white.resize(self.size, Image.Resampling.BOX))

    def mask_seen(self, mask: Image.Image) -> Image.Image:
        """A mask of the picture's size as it lies over what the model is given; the greys are shares of white."""
        part = mask.crop(self.of_picture).resize(_size(self.of_model), Image.Resampling.BOX)
        return self._framed(part, BLACK)

    def back(self, edited: Image.Image, picture: Image.Image, shown: Image.Image | None = None) -> Image.Image:
        """A picture of the model's in the size of the one that was fitted.

        What the model did not see is as it was. Along an edge beyond which the picture goes on, the edit fades into it.

        Args:
            shown: mode L, of the model's size: how much of the edit there is; None for all of it.
        """
        part = _resized(edited.crop(self.of_model), _size(self.of_picture))
        if shown is None and part.size == picture.size:
            return part
        share = self._border()
        if shown is not None:
            own = shown.crop(self.of_model).resize(part.size, Image.Resampling.BILINEAR)
            share = ImageChops.multiply(own, share)
        whole = picture.copy()
        whole.paste(part, self.of_picture[:2], share)
        return whole

    def _border(self) -> Image.Image:
        """How much of the edit there is in each pixel of the part that the model saw: 255 for all of it."""
        left, top, right, bottom = self.of_picture
        width, height = size = _size(self.of_picture)
        across = _fades(width, before=left > 0, after=right < self.size[0])
        down = _fades(height, before=top > 0, after=bottom < self.size[1])
        # As pictures of a byte a pixel: the outer product of two float arrays takes 300 MB for 40 million pixels.
        row, column = Image.fromarray(across[None, :]), Image.fromarray(down[:, None])
        return ImageChops.multiply(row.resize(size), column.resize(size))

    def mask_back(self, mask: Image.Image, *, soft: bool = False) -> Image.Image:
        """A mask of the model's picture, at any resolution, in the size of the one that was fitted.

        What the model did not see is black: it does not change.

        Args:
            soft: whether its greys are shares, as `back` takes them; else it stays as coarse as it is.
        """
        resample = Image.Resampling.BILINEAR if soft else Image.Resampling.NEAREST
        part = mask.resize(self.model_size, resample).crop(self.of_model)
        part = part.resize(_size(self.of_picture), resample)
        whole = Image.new("L", self.size, BLACK)
        whole.paste(ImageChops.multiply(part, self._border()) if soft else part, self.of_picture[:2])
        return whole

    def map_back(self, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A map of the model's picture, (height, width) of any size, over the one that was fitted, drawn at some size.

        What the model did not see has the least value. Where the model's picture is all of it, the map is as it was.
        """
        if self.of_picture == (0, 0, *self.size) and self.of_model == (0, 0, *self.model_size):
            return values
        seen = Image.fromarray(values.astype(np.float32))
        box = _scaled(self.of_model, self.model_size, seen.size)
        left, top, right, bottom = (round(side) for side in _scaled(self.of_picture, self.size, size))
        part_size = max(1, right - left), max(1, bottom - top)
        part = np.asarray(seen.resize(part_size, Image.Resampling.BICUBIC, box=box))
        paper = Image.new("F", size, float(values.min()))
        # Bicubic overshoots at edges.
        paper.paste(Image.fromarray(part.clip(values.min(), values.max())), (left, top))
        return np.asarray(paper)

    def _framed(self, part: Image.Image, margin: int | tuple[int, int, int]) -> Image.Image:
        if part.size == self.model_size:
            return part
        paper = Image.new(part.mode, self.model_size, margin)
        paper.paste(part, self.of_model[:2])
        return paper


def fitting_of(
    size: tuple[int, int], model_size: tuple[int, int], fit: Literal["cover", "contain"] = "cover"
) -> Fitting:
    """How a picture of some (width, height) comes to the model's."""
    part, frame = (0, 0, *size), (0, 0, *model_size)
    if fit == "cover":
        part = _middle(size, model_size)
    else:
        frame = _middle(model_size, size)
    return Fitting(size=size, of_picture=part, model_size=model_size, of_model=frame)


def _middle(size: tuple[int, int], shape: tuple[int, int]) -> Box:
    """The largest box of another size's shape in the middle of a size; a pixel wide and high at least."""
    width, height = size
    if width * shape[1] > height * shape[0]:
        width = max(1, round(height * shape[0] / shape[1]))
    else:
        height = max(1, round(width * shape[1] / shape[0]))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _fades(length: int, *, before: bool, after: bool) -> np.ndarray:
    """(length,) levels from 0 to 255 along a side: they rise at its beginning, and fall at its end, where asked for."""
    border = length // BORDER
    # Half a cosine: it begins and ends level, so that neither end of the border is an edge itself.
    rise = (1 - np.cos(np.pi * np.arange(1, border + 1) / (border + 1))) / 2
    shares = np.ones(length)
    if before:
        shares[:border] *= rise
    if after:
        shares[length - border :] *= rise[::-1]
    return np.rint(255 * shares).astype(np.uint8)


def _scaled(box: Box, size: tuple[int, int], other: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box of a size as the same part of another one."""
    across, down = other[0] / size[0], other[1] / size[1]
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def _size(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS)  # of the same size: the same pixels


def _black_and_white(grey: Image.Image) -> Image.Image:
    return grey.point(lambda level: 255 if level >= 128 else BLACK)

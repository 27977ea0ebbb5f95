"""Pictures side by side with words above them, and lines in axes: all that the figures need of drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

#: Pixels a side of a picture on a sheet, between pictures, and of a line of text.
CELL, GAP, LINE = 128, 6, 18
INK, PAPER = (30, 30, 30), (255, 255, 255)
#: Told apart also by those who see no red and green (Okabe and Ito 2008).
COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (230, 159, 0))


@dataclass(frozen=True)
class Cell:
    """A picture and the words above it."""

    words: str
    image: Image.Image


def sheet(rows: Sequence[Sequence[Cell]]) -> Image.Image:
    """Rows of cells as one picture."""
    width = max(len(row) for row in rows) * (CELL + GAP) + GAP
    made = Image.new("RGB", (width, len(rows) * (CELL + LINE + GAP) + GAP), PAPER)
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(13)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            left, top = GAP + x * (CELL + GAP), GAP + y * (CELL + LINE + GAP)
            draw.text((left, top), cell.words, INK, font)
            made.paste(cell.image.convert("RGB").resize((CELL, CELL), Image.Resampling.NEAREST), (left, top + LINE))
    return made


def heat(map_: np.ndarray) -> Image.Image:
    """A map as a picture: black is nothing, white its own maximum."""
    shares = map_ / max(float(map_.max()), 1e-12)
    enlarged = Image.fromarray((shares * 255).round().astype(np.uint8))
    return enlarged.resize((CELL, CELL), Image.Resampling.BICUBIC)


def curves(
    title: str,
    xs: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    size: tuple[int, int] = (420, 300),
    bounds: tuple[float, float] | None = None,
) -> Image.Image:
    """Lines over shared `xs`, each with its name; `bounds` of the upright axis, or those of the values."""
    made = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(12)
    left, top, right, bottom = 46, 28, size[0] - 12, size[1] - 24
    values = [value for line in lines.values() for value in line]
    least, most = bounds or (min(values), max(values))
    span = (most - least) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        share = (x - xs[0]) / ((xs[-1] - xs[0]) or 1)
        return left + share * (right - left), bottom - (y - least) / span * (bottom - top)

    draw.text((left, 6), title, INK, font)
    draw.line([(left, top), (left, bottom), (right, bottom)], INK)
    for x in xs:
        draw.text((at(x, least)[0], bottom + 4), f"{x:g}", INK, font, anchor="mt")
    for y in np.linspace(least, most, 5):
        draw.text((left - 4, at(xs[0], y)[1]), f"{y:.3g}", INK, font, anchor="rm")
        draw.line([at(xs[0], y), at(xs[-1], y)], (225, 225, 225))
    for (name, line), colour, number in zip(lines.items(), COLOURS, range(len(lines)), strict=False):
        draw.line([at(x, y) for x, y in zip(xs, line, strict=True)], colour, 2)
        draw.text((right, top + 2 + number * 14), name, colour, font, anchor="rt")
    return made


def stacked(images: Sequence[Image.Image]) -> Image.Image:
    """Pictures below one another."""
    made = Image.new("RGB", (max(i.width for i in images), sum(i.height for i in images)), PAPER)
    top = 0
    for image in images:
        made.paste(image, (0, top))
        top += image.height
    return made


def beside(images: Sequence[Image.Image]) -> Image.Image:
    """Pictures side by side."""
    made = Image.new("RGB", (sum(i.width for i in images), max(i.height for i in images)), PAPER)
    left = 0
    for image in images:
        made.paste(image, (left, 0))
        left += image.width
    return made

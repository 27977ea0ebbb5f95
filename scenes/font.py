"""Where the emoji font is found, and the glyphs cut out of it."""

import os
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scenes.world import COLOURS, THINGS

#: Names the font file (Noto Color Emoji, OFL) where the usual places do not hold it.
FONT_SETTING = "SCENES_FONT"
#: Relative to the repository: `make font` unpacks Debian's fonts-noto-color-emoji there, without root.
UNPACKED = Path(__file__).parent.parent / ".font/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
INSTALLED = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
#: The only bitmap size in the font; any other is refused by FreeType.
GLYPH_SIZE = 109
#: Rec. 601 luma.
GREY = np.array([0.299, 0.587, 0.114], np.float32)


class FontMissing(RuntimeError):
    """The emoji font is not on this machine."""


def font_path() -> Path:
    """The emoji font's file.

    Raises:
        FontMissing: it is in none of the places looked at; says how to get it.
    """
    named = os.environ.get(FONT_SETTING)
    for path in [Path(named)] if named else [UNPACKED, INSTALLED]:
        if path.is_file():
            return path
    raise FontMissing(
        f"NotoColorEmoji.ttf is not at {named or f'{UNPACKED} or {INSTALLED}'}: run `make font` where apt is at hand, "
        f"or name the file with {FONT_SETTING}"
    )


@cache
def sprite(thing: str, tint: str | None = None) -> Image.Image:
    """The thing's glyph as RGBA, cropped to what it covers; its shading is kept where it is tinted."""
    if tint:
        pixels = np.asarray(sprite(thing)).astype(np.float32)
        shade = np.clip(0.25 + pixels[..., :3] @ GREY / 255 * 0.95, 0, 1.15)[..., None]
        colour = np.clip(shade * np.array(COLOURS[tint], np.float32), 0, 255)
        return Image.fromarray(np.concatenate([colour, pixels[..., 3:]], -1).astype(np.uint8), "RGBA")
    canvas = Image.new("RGBA", (160, 160))
    font = ImageFont.truetype(str(font_path()), GLYPH_SIZE)
    ImageDraw.Draw(canvas).text((10, 10), THINGS[thing], font=font, embedded_color=True)
    return canvas.crop(canvas.getbbox())

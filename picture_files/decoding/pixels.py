"""A decoded picture as it is kept: upright, RGB in sRGB, laid on white. And what it says as a mask.

It is worked on in bands of rows, so that there are never more than two whole pictures in memory, the one that was
decoded and the one that is kept: Pillow takes four bytes a pixel for each.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image, ImageCms, ImageMath

from p2p.mask_reading import by_alpha, by_colour

#: What transparent pixels are laid on.
PAPER = (255, 255, 255)
#: Rows of a band: a few megabytes of a wide picture, and few enough bands that their overhead does not show.
_ROWS = 256
#: EXIF 2.3, tag 0x0112: how the camera was held, as what undoes it.
_ORIENTATION = 0x0112
_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: Those that make rows of columns, and those that put the last row first.
_SWAPPING = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
_REVERSING = (
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
)
_DEEP = ("I;16", "I", "I;16B", "I;16L", "F")


@dataclass(frozen=True, eq=False)
class AsMask:
    """What a picture says as a mask (`p2p.mask_reading`).

    Attributes:
        alpha: the share of its pixels that its alpha channel has painted; None if nothing is transparent.
        colour: the share of its pixels that is light, as it is kept.
        drawn: mode L, white where the alpha channel is painted; None if `alpha` is None.
    """

    alpha: float | None
    colour: float
    drawn: Image.Image | None


def flattened(image: Image.Image) -> tuple[Image.Image, AsMask]:
    """A picture, decoded, as RGB, and what it says as a mask."""
    turn = _turn(image)
    size = image.size[::-1] if turn in _SWAPPING else image.size
    to_srgb = _to_srgb(image)
    flat, mask, light, painted = Image.new("RGB", size), None, 0, 0
    for top, band in _bands(image):
        colours, alpha = _shown(band, to_srgb)
        at = _place(top, band, image, turn)
        light += by_colour(colours).histogram()[255]
        flat.paste(colours if turn is None else colours.transpose(turn), at)
        if alpha is not None:
            mask = mask or Image.new("L", size)
            white = by_alpha(alpha)
            painted += white.histogram()[255]
            mask.paste(white if turn is None else white.transpose(turn), at)
    pixels = flat.width * flat.height
    return flat, AsMask(alpha=None if mask is None else painted / pixels, colour=light / pixels, drawn=mask)


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Where each band begins, and its pixels as they were decoded."""
    for top in range(0, image.height, _ROWS):
        yield top, image.crop((0, top, image.width, min(top + _ROWS, image.height)))


def _place(top: int, band: Image.Image, image: Image.Image, turn: Image.Transpose | None) -> tuple[int, int]:
    """Where a band lies in the turned picture: left, top."""
    along = image.height - top - band.height if turn in _REVERSING else top
    return (along, 0) if turn in _SWAPPING else (0, along)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What brings a picture upright: a camera writes how it was held, and leaves the pixels as they were."""
    try:
        held = image.getexif().get(_ORIENTATION)
        return None if held is None else _BACK.get(held)
    except MemoryError:
        raise
    except Exception:  # EXIF that cannot be read says nothing of how the camera was held
        return None


def _shown(band: Image.Image, to_srgb: Callable[[Image.Image], Image.Image]) -> tuple[Image.Image, Image.Image | None]:
    """RGB laid on white, and alpha (mode L) where there is any."""
    alpha = None
    if band.mode in _DEEP:
        band, alpha = _of_16_bits(band)
    if band.has_transparency_data:
        band = band if band.mode in ("RGBA", "LA") else band.convert("RGBA")
        alpha = band.getchannel("A")
        band = band.convert("L" if band.mode == "LA" else "RGB")
    colours = to_srgb(band)
    if alpha is None:
        return colours, None
    paper = Image.new("RGB", band.size, PAPER)
    paper.paste(colours, mask=alpha)
    return paper, alpha


def _of_16_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The upper 8 of 16 bits of grey, rounded, and alpha by its transparent value if it names one.

    Pillow's own conversion cuts off at 255, which makes nearly everything white.
    """
    clear = image.info.pop("transparency", None)  # first: a conversion would carry it over to other levels
    deep = image.convert("I")
    light = deep.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if not isinstance(clear, int):
        return light, None
    return light, ImageMath.lambda_eval(lambda args: (args["deep"] != clear) * 255, deep=deep).convert("L")


def _to_srgb(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What takes a picture's colours to sRGB: by its ICC profile, or where that is none for it, as if it had none."""
    mode = {"LA": "L", "RGBA": "RGB", "P": "RGB", "PA": "RGB"}.get(image.mode, image.mode)
    profile = image.info.get("icc_profile")
    if not profile or mode not in ("RGB", "L", "CMYK") or image.mode in _DEEP:
        return _as_rgb
    try:
        given, wanted = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(given, wanted, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return _as_rgb

    def taken(band: Image.Image) -> Image.Image:
        # A palette with nothing transparent comes as it is.
        found = ImageCms.applyTransform(band if band.mode == mode else band.convert(mode), transform)
        assert found is not None  # what is not changed in place is given
        return found

    return taken


def _as_rgb(band: Image.Image) -> Image.Image:
    return band.convert("RGB")

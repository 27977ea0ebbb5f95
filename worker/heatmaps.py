"""Draws where a word acted: its map as glowing colour over the dimmed picture."""

import numpy as np
from PIL import Image

#: Matplotlib's "inferno" (CC0) at nine equal distances: dark to bright, evenly to the eye, and readable in grey.
_INFERNO = np.array(
    [
        (0, 0, 4),
        (31, 12, 72),
        (85, 15, 109),
        (136, 34, 106),
        (186, 54, 85),
        (227, 89, 51),
        (249, 140, 10),
        (249, 201, 50),
        (252, 255, 164),
    ],
    dtype=np.float32,
)
#: Pictures smaller than this are drawn at a whole multiple of their size: a map of 16x16 is no thumbnail.
MIN_SIDE = 256
#: They are not enlarged beyond this, nor photos drawn larger: there is one for every word, and a map is as coarse.
MAX_SIDE = 1024
#: How much of the picture is seen where the word acted least and most.
_VEIL_LOW, _VEIL_HIGH = 0.55, 0.88


def heatmap(word_map: np.ndarray, picture: Image.Image) -> Image.Image:
    """A picture under a word's map, (height, width) of any size and range."""
    scale = max(1, min(-(-MIN_SIDE // min(picture.size)), MAX_SIDE // max(picture.size)))
    size = (picture.width * scale, picture.height * scale)
    strength = _enlarged(_unit(word_map), size)  # (height, width) in 0..1
    grey = np.asarray(picture.convert("L").resize(size, Image.Resampling.LANCZOS), dtype=np.float32)[..., None]
    veil = (_VEIL_LOW + (_VEIL_HIGH - _VEIL_LOW) * strength)[..., None]
    pixels = inferno(strength) * veil + grey * (1 - veil)
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def inferno(values: np.ndarray) -> np.ndarray:
    """Colours (..., 3) in 0..255 of values in 0..1."""
    stops = np.linspace(0, 1, len(_INFERNO))
    return np.stack([np.interp(values, stops, _INFERNO[:, channel]) for channel in range(3)], axis=-1)


def _unit(values: np.ndarray) -> np.ndarray:
    """Values stretched to 0..1; a map without any contrast is dark everywhere."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.zeros_like(values, dtype=np.float32)
    return ((values - low) / (high - low)).astype(np.float32)


def _enlarged(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    # Bicubic overshoots at edges.
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)

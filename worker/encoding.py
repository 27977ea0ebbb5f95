"""How pictures are written as files, by the formats that a spec names."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from p2p.spec import PictureFormat


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """One kind of file.

    Attributes:
        suffix: of its name, with the dot.
        pillow: what Pillow calls it.
        options: of Pillow's writer.
    """

    suffix: str
    content_type: str
    pillow: str
    options: Mapping[str, Any] = field(default_factory=dict)


#: The qualities stand in the description of `p2p.spec.Artifacts.format` too. JPEG halves the resolution of colour by
#: default, which bleeds at the hard edges of drawn things; WebP's lossy form always does, so it is for smaller files.
ENCODINGS: Mapping[PictureFormat, Encoding] = {
    "png": Encoding(suffix=".png", content_type="image/png", pillow="PNG", options={"optimize": True}),
    "jpeg": Encoding(
        suffix=".jpg",
        content_type="image/jpeg",
        pillow="JPEG",
        options={"quality": 95, "subsampling": "4:4:4", "optimize": True},
    ),
    "webp": Encoding(suffix=".webp", content_type="image/webp", pillow="WEBP", options={"quality": 90, "method": 4}),
}


def encoded(image: Image.Image, encoding: Encoding) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    image.save(file, encoding.pillow, **encoding.options)
    return file.getvalue()

"""How pictures are written as files, by the formats that a spec names."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jobs.provenance import xmp_packet
from p2p.spec import PictureFormat


def _as_packet(xmp: bytes) -> Mapping[str, Any]:
    return {"xmp": xmp}


def _as_text(xmp: bytes) -> Mapping[str, Any]:
    """As XMP's part 3 has it for PNG: a text chunk, not compressed."""
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return {"pnginfo": info}


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """One kind of file.

    Attributes:
        suffix: of its name, with the dot.
        pillow: what Pillow calls it.
        options: of Pillow's writer.
        with_xmp: further options, by which it writes an XMP packet into the file.
    """

    suffix: str
    content_type: str
    pillow: str
    options: Mapping[str, Any] = field(default_factory=dict)
    with_xmp: Callable[[bytes], Mapping[str, Any]] = _as_packet


#: The qualities stand in the description of `p2p.spec.Artifacts.format` too. JPEG halves the resolution of colour by
#: default, which bleeds at the hard edges of drawn things; WebP's lossy form always does, so it is for smaller files.
ENCODINGS: Mapping[PictureFormat, Encoding] = {
    "png": Encoding(
        suffix=".png", content_type="image/png", pillow="PNG", options={"optimize": True}, with_xmp=_as_text
    ),
    "jpeg": Encoding(
        suffix=".jpg",
        content_type="image/jpeg",
        pillow="JPEG",
        options={"quality": 95, "subsampling": "4:4:4", "optimize": True},
    ),
    "webp": Encoding(suffix=".webp", content_type="image/webp", pillow="WEBP", options={"quality": 90, "method": 4}),
}


def encoded(image: Image.Image, encoding: Encoding, source_type: str | None = None) -> bytes:
    """A picture as a file.

    Args:
        source_type: IPTC's name of where it comes from, which the file then says; its pixels are the same.
    """
    file = io.BytesIO()
    said = {} if source_type is None else encoding.with_xmp(xmp_packet(source_type))
    image.save(file, encoding.pillow, **encoding.options, **said)
    return file.getvalue()

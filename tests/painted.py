"""One mask, a rectangle, in every way in which painting programs and web pages write it."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.hostile import chunk

SIZE = (64, 48)
#: left, top, right, bottom; the latter two are outside.
BOX = (16, 8, 40, 32)


def painted_box() -> np.ndarray:
    """(height, width) bool: where the rectangle is."""
    inside = np.zeros(SIZE[::-1], bool)
    inside[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    return inside


def box_on(mode: str, back: object, fill: object) -> Image.Image:
    """The rectangle in one colour on another one."""
    image = Image.new(mode, SIZE, back)
    image.paste(fill, BOX)
    return image


def file_of(image: Image.Image, form: str = "PNG", **how: object) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **how)
    return data.getvalue()


def by_alpha() -> dict[str, bytes]:
    """Files that say it by an alpha channel."""
    white, black, clear = (255, 255, 255, 255), (0, 0, 0, 255), (0, 0, 0, 0)
    found = {
        "white on clear white": file_of(box_on("RGBA", (255, 255, 255, 0), white)),
        "white on clear black, as canvas.toBlob writes it": file_of(box_on("RGBA", clear, white)),
        "black on clear": file_of(box_on("RGBA", clear, black)),
        "black on clear white": file_of(box_on("RGBA", (255, 255, 255, 0), black)),
        "red on clear": file_of(box_on("RGBA", clear, (255, 0, 0, 255))),
        "half opacity, as over a picture that is painted on": file_of(box_on("RGBA", clear, (255, 0, 0, 127))),
        "grey with alpha": file_of(box_on("LA", (0, 0), (128, 255))),
        "black grey with alpha": file_of(box_on("LA", (255, 0), (0, 255))),
        "WebP": file_of(box_on("RGBA", clear, white), "WEBP", lossless=True),
        "lossy WebP": file_of(box_on("RGBA", clear, white), "WEBP", quality=60),
        "AVIF": file_of(box_on("RGBA", clear, white), "AVIF", quality=90),
        "16 bits a channel": _deep(),
        "RGB with a transparent colour": file_of(box_on("RGB", (0, 0, 255), (255, 0, 0)), transparency=(0, 0, 255)),
        "grey with a transparent level": file_of(box_on("L", 0, 200), transparency=0),
        "16-bit grey with a transparent level": file_of(
            Image.fromarray(np.where(painted_box(), 60_000, 7).astype(np.uint16)), transparency=7
        ),
    }
    palette = Image.new("P", SIZE, 0)
    palette.putpalette([255, 255, 255, 0, 0, 0])
    palette.paste(1, BOX)
    found["palette with transparency"] = file_of(palette, transparency=0)
    found["palette with many alphas"] = file_of(palette, transparency=bytes([0, 255]))
    found["GIF-like palette, white on clear"] = file_of(palette, transparency=b"\0")
    soft = box_on("RGBA", clear, white)
    # A brush's rim: from clear to painted within the rectangle's outermost pixel, straight and premultiplied.
    alpha = np.where(painted_box(), 255, 0).astype(np.uint8)
    alpha[BOX[1], BOX[0] : BOX[2]] = 100
    alpha[BOX[1] - 1, BOX[0] : BOX[2]] = 30
    soft.putalpha(Image.fromarray(alpha))
    found["soft edges"] = file_of(soft)
    premultiplied = np.stack([alpha, alpha, alpha, alpha], -1)
    found["premultiplied soft edges"] = file_of(Image.fromarray(premultiplied))
    return found


def by_colour() -> dict[str, bytes]:
    """Files that say it by their colours."""
    white, black = (255, 255, 255), (0, 0, 0)
    grey = box_on("L", 0, 255)
    bits = grey.convert("1")
    cmyk = box_on("RGB", black, white).convert("CMYK")
    found = {
        "grey": file_of(grey),
        "RGB": file_of(box_on("RGB", black, white)),
        "1-bit": file_of(bits),
        "16-bit grey": file_of(Image.fromarray(np.where(painted_box(), 65_535, 0).astype(np.uint16))),
        "palette": file_of(box_on("RGB", black, white).quantize(2)),
        "an opaque alpha on everything": file_of(box_on("RGBA", (*black, 255), (*white, 255))),
        "grey, opaque alpha": file_of(box_on("LA", (0, 255), (255, 255))),
        "JPEG": file_of(box_on("RGB", black, white), "JPEG", quality=95),
        "CMYK JPEG": file_of(cmyk, "JPEG", quality=95),
        "lossless WebP": file_of(box_on("RGB", black, white), "WEBP", lossless=True),
        "light grey on dark grey": file_of(box_on("L", 60, 190)),
    }
    for name, colour in {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "pink": (255, 0, 255)}.items():
        found[f"{name} on black"] = file_of(box_on("RGB", black, colour))
    return found


def saying_nothing() -> dict[str, bytes]:
    """Files that bound nothing, however they are read."""
    clear = (0, 0, 0, 0)
    palette = Image.new("P", SIZE, 0)
    return {
        "white": file_of(Image.new("L", SIZE, 255)),
        "black": file_of(Image.new("L", SIZE, 0)),
        "clear": file_of(Image.new("RGBA", SIZE, clear)),
        "clear white": file_of(Image.new("RGBA", SIZE, (255, 255, 255, 0))),
        "opaque white": file_of(Image.new("RGBA", SIZE, (255, 255, 255, 255))),
        "red": file_of(Image.new("RGB", SIZE, (255, 0, 0))),
        "levels 0 and 1, as arrays of labels are saved": file_of(box_on("L", 0, 1)),
        "red on white": file_of(box_on("RGB", (255, 255, 255), (255, 0, 0))),
        "a stroke that can hardly be seen": file_of(box_on("RGBA", clear, (255, 255, 255, 40))),
        "one palette entry, transparent": file_of(palette, transparency=0),
        "1-bit": file_of(Image.new("1", SIZE, 1)),
    }


def _deep() -> bytes:
    """A PNG of 16 bits a channel with alpha, which Pillow does not write: white on clear."""
    pixels = np.where(painted_box()[..., None], 65_535, 0).astype(">u2").repeat(4, -1)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *SIZE, 16, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

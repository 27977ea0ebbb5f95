"""`python decode.py LIMITS`: a stranger's file on standard input, an RGB PNG on standard output.

A process of its own, because what it does with a file can be neither bounded nor stopped from within: a few megabytes
can hold a picture of gigabytes, or a JPEG whose thousand passes take minutes, and decoders are C. So the kernel bounds
it (memory and time of the CPU), whoever started it kills it when its time is over, and what breaks it breaks nothing
else. It imports nothing of this service and is run as a file.

What it does, in this order: tells PNG, JPEG and WebP by their content, never by a name or a declared type; takes the
first picture of an animation; turns it as its EXIF orientation says; takes its colours, by the ICC profile where there
is a good one, to sRGB; lays what is transparent on white; keeps 8 bits of 16. All metadata is gone then.

Answers one line of JSON, and after it the PNG where the line says none of `code` and `detail`.
"""

import hashlib
import io
import json
import resource
import struct
import sys
import warnings
from collections.abc import Callable
from typing import Any

#: What transparent pixels are laid on.
PAPER = (255, 255, 255)
FORMATS = ("PNG", "JPEG", "WEBP")
#: EXIF 2.3, tag 0x0112: how the camera was held, as what undoes it.
_ORIENTATION = 0x0112
#: Bytes of metadata that are read: a camera's are 64 kB, a printer's profile 2 MB, the depth map of a phone 3 MB.
MAX_METADATA = 4 * 2**20


class Refused(Exception):
    """A file that is not taken; `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def main(said: str) -> None:
    """Bound this process, then read what is given and write what comes of it."""
    limits = json.loads(said)
    resource.setrlimit(resource.RLIMIT_CPU, (limits["seconds"], limits["seconds"]))
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory"], limits["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer: dict[str, Any] = {}
    picture = b""
    try:
        answer, picture = normalised(sys.stdin.buffer.read(), limits["pixels"])
    except Refused as refusal:
        answer = {"code": refusal.code, "detail": str(refusal)}
    except MemoryError:
        answer = {"code": "image_too_heavy", "detail": "reading it takes more memory than it may: save it plainly"}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.write(picture)


def normalised(data: bytes, max_pixels: int) -> tuple[dict[str, Any], bytes]:
    """What a file is, and its picture as an RGB PNG.

    Raises:
        Refused: it is no picture that can be read, or more than may be.
    """
    from PIL import Image

    if not data:
        raise Refused("empty_image", "the file is empty: send a PNG, JPEG or WebP")
    Image.MAX_IMAGE_PIXELS = max_pixels
    image = _opened(data, max_pixels)
    kind = "JPEG" if image.format == "MPO" else image.format  # a phone's JPEG with further pictures behind it
    flat = _flat(_turned(_loaded(image)))
    file = io.BytesIO()
    flat.info = {}  # Pillow would write the profile again, which the pixels are not in any more
    flat.save(file, "PNG", compress_level=3)
    # Of the picture, not of the file: the same pixels under any format and metadata are the same picture.
    digest = hashlib.sha256(f"RGB {flat.size}\0".encode())
    for top in range(0, flat.height, 256):
        digest.update(flat.crop((0, top, flat.width, min(top + 256, flat.height))).tobytes())
    said = {"format": kind, "width": flat.width, "height": flat.height, "digest": digest.hexdigest()}
    return said, file.getvalue()


def _opened(data: bytes, max_pixels: int):
    """The file, its head read; nothing is decoded yet."""
    from PIL import Image, UnidentifiedImageError

    def opened():
        with warnings.catch_warnings():
            # Pillow refuses twice what it warns of; here the limit is the limit. Its other warnings are of metadata.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=FORMATS)

    try:
        image = _understood(opened)
        if image.format == "PNG":
            _understood(image.verify)  # reads on without decoding: the checksums of all chunks
            if _PNG_END not in data:  # the one chunk whose checksum Pillow does not read
                raise Refused("broken_image", _BROKEN)
            image = _understood(opened)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        detail = f"the picture has more than {max_pixels:,} pixels, which is the most that is read: make it smaller"
        raise Refused("image_too_many_pixels", detail) from error
    except UnidentifiedImageError as error:
        if data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (data[:4], data[8:12]) == (b"RIFF", b"WEBP"):
            raise Refused("broken_image", "the head of the file is damaged: save the picture anew") from error
        detail = "this is no PNG, JPEG or WebP by its content, whatever it is called: convert it to one of them"
        raise Refused("not_an_image", detail) from error
    if min(image.size) < 1:
        raise Refused("broken_image", "the picture has no pixels: save it anew")
    _check_metadata(image)
    return image


def _understood(step: Callable[[], Any]) -> Any:
    """What a step of Pillow gives; what it does not understand, and says in many ways, as one refusal."""
    from PIL import Image, UnidentifiedImageError

    try:
        return step()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, UnidentifiedImageError, MemoryError):
        raise
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError) as error:
        _refuse(error)
    except (struct.error, AttributeError, ArithmeticError, AssertionError, RuntimeError, LookupError) as error:
        _refuse(error)


def _refuse(error: Exception) -> None:
    if "too large" in str(error) or "MAX_TEXT" in str(error):
        raise Refused("image_metadata_too_large", _METADATA) from error
    raise Refused("broken_image", _BROKEN) from error


_BROKEN = "the file is damaged or cut short: send it again, or save it anew"
#: A PNG's last chunk, which holds nothing: its kind and checksum.
_PNG_END = b"IEND\xae\x42\x60\x82"

_METADATA = f"text, profile and EXIF of the picture are more than {MAX_METADATA:,} bytes: save it without them"


def _check_metadata(image) -> None:
    total = sum(len(value) for value in image.info.values() if isinstance(value, bytes | str))
    if total > MAX_METADATA:
        raise Refused("image_metadata_too_large", _METADATA)


def _loaded(image):
    """The pixels of the first picture."""
    _understood(image.load)
    _check_metadata(image)  # PNG may have more behind the pixels
    return image


def _turned(image):
    """The picture as it was seen: a camera writes how it was held, and leaves the pixels as they were."""
    from PIL import Image

    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        how = back.get(image.getexif().get(_ORIENTATION))
    except MemoryError:
        raise
    except Exception:  # EXIF that cannot be read says nothing of how the camera was held
        how = None
    if how is None:
        return image
    turned = image.transpose(how)
    turned.info = image.info
    return turned


def _flat(image):
    """RGB in sRGB, without transparency."""
    from PIL import Image

    profile = image.info.get("icc_profile")
    alpha = None
    if image.mode in ("I;16", "I", "I;16B", "I;16L", "F"):
        image, alpha = _of_16_bits(image)
    if image.has_transparency_data:
        image = image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("L" if image.mode == "LA" else "RGB")
    colours = _in_srgb(image, profile)
    if alpha is None:
        return colours
    paper = Image.new("RGB", image.size, PAPER)
    paper.paste(colours, mask=alpha)
    return paper


def _of_16_bits(image):
    """The upper 8 of 16 bits of grey, rounded, and the mask of its transparent value if it names one.

    Pillow's own conversion cuts off at 255, which makes nearly everything white.
    """
    from PIL import ImageMath

    deep = image.convert("I")
    clear = image.info.pop("transparency", None)
    light = deep.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if not isinstance(clear, int):
        return light, None
    return light, ImageMath.lambda_eval(lambda args: (args["deep"] != clear) * 255, deep=deep).convert("L")


def _in_srgb(image, profile: bytes | None):
    """The picture in sRGB: by its ICC profile, or where that is none for it, as if it had none."""
    if not profile or image.mode not in ("RGB", "L", "CMYK"):
        return image.convert("RGB")
    from PIL import ImageCms

    try:
        return ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image.convert("RGB")


if __name__ == "__main__":
    main(sys.argv[1])

"""A file opened and decoded: by its content, never by a name or a declared type, and no more of it than may be.

Of animations and files with several pictures, the first or the one that the file names as its primary one is taken.
"""

import io
import struct
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pi_heif
from PIL import AvifImagePlugin, ExifTags, Image, UnidentifiedImageError

from process.refusal import Refusal

#: Pillow's names, in the order in which they are tried: AVIF and HEIC share some names of their container.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "HEIF")
#: What Pillow calls otherwise than people do; MPO is a phone's JPEG with further pictures behind it.
_CALLED = {"MPO": "JPEG", "HEIF": "HEIC"}
#: Bytes of metadata that are read: a camera's are 64 kB, a printer's profile 2 MB, the depth map of a phone 3 MB.
MAX_METADATA = 4 * 2**20
#: Bytes of address space of the process before it opens a file.
_BASE = 48_000_000
#: Bytes a pixel that decoders take at least, the picture included, where that is more than Pillow's four: known before
#: they begin, because their own error would be that the file is damaged. `test_large_pictures.py`
#: measures what they take.
_DECODER: Mapping[str, int] = {"WEBP": 16, "AVIF": 9, "HEIF": 7}


class Refused(Refusal):
    """A file that is not taken; `code` is stable."""


def opened(data: bytes, *, max_pixels: int, memory: int) -> tuple[Image.Image, str]:
    """The picture of a file, decoded, and the file's format.

    Args:
        memory: bytes of address space that this process may have.
    Raises:
        Refused: it is no picture that can be read, or more than may be.
    """
    if not data:
        raise Refused("empty_image", "the file is empty: send a PNG, JPEG, WebP, AVIF or HEIC")
    Image.MAX_IMAGE_PIXELS = max_pixels
    # A thread's own heap and stack are address space that is never used, and the time of all threads counts.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    image = _head(data, max_pixels)
    kind = str(image.format)
    needed = _BASE + len(data) + _DECODER.get(kind, 4) * image.width * image.height
    if needed > memory:
        detail = (
            f"a {_CALLED.get(kind, kind)} of {image.width}x{image.height} takes {needed // 10**6} MB to read, and "
            f"{memory // 10**6} MB may be taken: send a PNG or JPEG, or make it smaller"
        )
        raise Refused("image_too_heavy", detail)
    return _loaded(image), _CALLED.get(kind, kind)


def _head(data: bytes, max_pixels: int) -> Any:
    """The file, its head read; nothing is decoded yet."""

    def begin() -> Any:
        with warnings.catch_warnings():
            # Pillow refuses twice what it warns of; here the limit is the limit. Its other warnings are of metadata.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=FORMATS)

    try:
        image = _understood(begin)
        if image.format == "PNG":
            _understood(image.verify)  # reads on without decoding: the checksums of all chunks
            if _PNG_END not in data:  # the one chunk whose checksum Pillow does not read
                raise Refused("broken_image", _BROKEN)
            image = _understood(begin)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        detail = f"the picture has more than {max_pixels:,} pixels, which is the most that is read: make it smaller"
        raise Refused("image_too_many_pixels", detail) from error
    except UnidentifiedImageError as error:
        if _looks_known(data):
            raise Refused("broken_image", "the head of the file is damaged: save the picture anew") from error
        detail = (
            "this is no PNG, JPEG, WebP, AVIF or HEIC by its content, whatever it is called: convert it to one of them"
        )
        raise Refused("not_an_image", detail) from error
    if min(image.size) < 1:
        raise Refused("broken_image", "the picture has no pixels: save it anew")
    if image.format in ("HEIF", "AVIF") and not _is_whole(data):
        raise Refused("broken_image", _BROKEN)
    _check_metadata(image)
    return image


def _looks_known(data: bytes) -> bool:
    """Whether a file begins as one of the formats does."""
    if data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (data[:4], data[8:12]) == (b"RIFF", b"WEBP"):
        return True
    return data[4:8] == b"ftyp" and data[8:12] in _BRANDS


def _is_whole(data: bytes) -> bool:
    """Whether a file of boxes (ISO 14496-12, 4.2) has all bytes of those that a picture needs.

    Where the last tiles of a picture are missing, libheif leaves them black and says nothing.
    """
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
        elif size == 0:  # to the end, wherever that is
            return True
        if kind in (b"meta", b"mdat", b"moov") and at + size > len(data):
            return False
        at += max(size, 8)
    return True


#: ISO 14496-12, 4.3: what a file calls itself; of AVIF and of HEIC with its sequences (ISO 23008-12, annex B).
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


def _loaded(image: Any) -> Image.Image:
    """The pixels, without the decoder and what it still holds."""
    _understood(image.load)
    _check_metadata(image)  # PNG may have more behind the pixels
    if image.format == "HEIF":
        # libheif has turned it as the container says, which alone counts there (ISO 23008-12, 6.5.10). What the EXIF
        # says beside it is for programs that do not know the container.
        image.getexif().pop(ExifTags.Base.Orientation, None)
        image.info.pop("exif", None)
    decoded = image.copy() if image.palette else image._new(image.im)
    decoded.info = image.info
    return decoded


def _check_metadata(image: Any) -> None:
    total = sum(len(value) for value in image.info.values() if isinstance(value, bytes | str))
    if total > MAX_METADATA:
        raise Refused("image_metadata_too_large", METADATA)


def _understood(step: Callable[[], Any]) -> Any:
    """What a step of Pillow gives; what it does not understand, and says in many ways, as one refusal."""
    try:
        return step()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, UnidentifiedImageError, MemoryError):
        raise
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError) as error:
        _refuse(error)
    except (struct.error, AttributeError, ArithmeticError, AssertionError, RuntimeError, LookupError) as error:
        _refuse(error)


def _refuse(error: Exception) -> None:
    text = str(error).lower()
    if "too large" in text or "max_text" in text:
        raise Refused("image_metadata_too_large", METADATA) from error
    if "memory" in text:  # libheif and libavif say so, and raise something else
        raise MemoryError from error
    raise Refused("broken_image", _BROKEN) from error


_BROKEN = "the file is damaged or cut short: send it again, or save it anew"
#: A PNG's last chunk, which holds nothing: its kind and checksum.
_PNG_END = b"IEND\xae\x42\x60\x82"

METADATA = (
    f"text, profile, EXIF and credentials of the picture are more than {MAX_METADATA:,} bytes: save it without them"
)

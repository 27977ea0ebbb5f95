"""HEIC and AVIF files that are sent to do harm, by family, and odd ones that are none (`tests.hostile`)."""

import io
import random
import struct
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from PIL import Image

from tests import heif
from tests.heif import CODED, Item, box, full, heic, single, size_of

#: Of each family.
EACH = 12


def avif(image: Image.Image, **how: object) -> bytes:
    data = io.BytesIO()
    image.save(data, "AVIF", **{"quality": 100, "subsampling": "4:4:4", **how})
    return data.getvalue()


def good() -> list[bytes]:
    """Files of both formats that show a picture."""
    return [heic("plain.heic"), heic("alpha.heic"), heic("several.heic"), avif(_picture()), heic("ten-bits.avif")]


def _picture(size: tuple[int, int] = (48, 32)) -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def cut_short(rng: random.Random) -> Iterator[bytes]:
    for number in range(EACH):
        data = good()[number % 5]
        yield data[: int(len(data) * rng.uniform(0.05, 0.9))]
    yield heif.grid(2, 2, 128, 128)[:-3000]


def lying_boxes(rng: random.Random) -> Iterator[bytes]:
    """Boxes whose sizes are none, or reach beyond those that they are in."""
    for number, kind in enumerate((b"meta", b"iprp", b"ipco", b"iinf", b"iloc", b"hvcC", b"meta", b"ipma")):
        data = bytearray(heic("plain.heic"))
        at = data.index(kind) - 4
        data[at : at + 4] = struct.pack(">I", (2**32 - 1, 9, 2**31, 10, 2**32 - 2, 9, 12, 9)[number])
        yield bytes(data)
    for kind in (b"meta", b"iloc", b"av1C", b"ipco"):
        data = bytearray(avif(_picture()))
        at = data.index(kind) - 4
        data[at : at + 4] = struct.pack(">I", rng.choice([2**32 - 1, 9, 2**30]))
        yield bytes(data)
    nested = b""
    for _ in range(5000):
        nested = box(b"moov", nested)
    yield box(b"ftyp", b"heic" + bytes(4) + b"mif1heic") + nested
    yield box(b"ftyp", b"avis" + bytes(4) + b"avismsf1") + nested
    yield b"\0\0\0\x01ftypheic" + struct.pack(">Q", 2**63) + bytes(100)


def lying_sizes(rng: random.Random) -> Iterator[bytes]:
    """Pictures that say that they are larger than may be read, or than they are."""
    for size in [(100_000, 100_000), (2**32 - 1, 2**32 - 1), (2**31, 1), (0, 0), (0, 64), (4001, 4000), (65, 64)]:
        yield single(size_of(*size))
    for size in [(100_000, 100_000), (2**32 - 1, 1), (0, 0), (8000, 8000)]:
        data = bytearray(avif(_picture()))
        at = data.index(b"ispe") + 8
        data[at : at + 8] = struct.pack(">II", *size)
        yield bytes(data)


def item_bombs(rng: random.Random) -> Iterator[bytes]:
    """Small files that say: the same bytes, thousands of times; or grids that are tiles of each other."""
    for count in (100, 1000, 60_000):
        yield single(extents=[(0, 4800)] * count)
    yield heif.grid(200, 200, 12_800, 12_800, own_tiles=False)
    yield heif.grid(255, 255, 65_000, 65_000, own_tiles=False)
    setting, data = heif.coded()
    layout = struct.pack(">BBBBII", 0, 1, 1, 1, 128, 128)
    properties = [*setting, size_of(CODED, CODED), size_of(128, 128)]
    yield heif.file_of({1: Item(b"grid", layout, [2, 4], [1, 1, 1, 1])}, properties)
    yield heif.file_of(
        {1: Item(b"grid", layout, [2, 4], [2] * 4), 2: Item(b"grid", layout, [2, 4], [1] * 4)}, properties
    )
    yield heif.file_of({1: Item(b"grid", layout, [2, 4], [7] * 4), 2: Item(b"hvc1", data, [1, 2, 3])}, properties)
    yield heif.file_of({1: Item(b"iovl", layout, [2, 4], [1])}, properties)
    yield heif.file_of({1: Item(b"iden", b"", [4], [1])}, properties)
    yield heif.file_of({1: Item(b"hvc1", b"", [1, 2, 3])}, properties)
    yield heif.file_of({1: Item(b"hvc1", data, [3])}, properties)  # nothing sets the decoder up
    yield heif.file_of({2: Item(b"hvc1", data, [1, 2, 3])}, properties)  # there is no primary item
    turns = [box(b"irot", b"\1")] * 120
    yield single(size_of(4001, 4000), *turns)


def metadata_bombs(rng: random.Random) -> Iterator[bytes]:
    for number in range(EACH // 2):
        much = rng.randbytes(4_300_000 + 100_000 * number)
        yield single(about=Item(b"Exif", struct.pack(">I", 6) + b"Exif\0\0" + much, about=1))
        yield avif(_picture(), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + much)
    yield avif(_picture(), icc_profile=rng.randbytes(5_000_000))
    yield single(size_of(CODED, CODED), box(b"colr", b"prof" + rng.randbytes(5_000_000)))


def sequences_of_nothing(rng: random.Random) -> Iterator[bytes]:
    """Films that say that they have four thousand million pictures, and have none."""
    for brand in (b"avis", b"msf1", b"hevc"):
        for samples in (0, 1, 2**31, 2**32 - 1):
            table = full(b"stsz", struct.pack(">II", 1, samples)) + full(b"stts", struct.pack(">III", 1, samples, 1))
            place = full(b"stco", struct.pack(">II", 1, 4)) + full(b"stsc", struct.pack(">IIII", 1, 1, samples, 1))
            track = box(b"mdia", box(b"minf", box(b"stbl", table + place)))
            yield box(b"ftyp", brand + bytes(4) + brand) + box(b"moov", box(b"trak", track)) + box(b"mdat", bytes(99))


FAMILIES: Mapping[str, Callable[[random.Random], Iterator[bytes]]] = {
    "HEIC and AVIF cut short": cut_short,
    "HEIC and AVIF whose boxes lie": lying_boxes,
    "HEIC and AVIF whose sizes lie": lying_sizes,
    "HEIC item bomb": item_bombs,
    "HEIC and AVIF with huge metadata": metadata_bombs,
    "film without pictures": sequences_of_nothing,
}


def damaged(number: int) -> bytes:
    """A good file with some bytes changed: it may show something or not."""
    rng = random.Random(number)
    data = bytearray(good()[number % 5])
    # Half of them in the boxes, which are the smaller part of a file.
    last = len(data) if number % 2 else data.index(b"mdat")
    for _ in range(rng.choice([1, 2, 8])):
        data[rng.randrange(last)] = rng.randrange(256)
    return bytes(data)


def odd(image: Image.Image) -> Iterator[tuple[str, bytes, Image.Image, int]]:
    """Unusual files that are good: a name, the file, what it shows, and by how much that may be missed.

    Args:
        image: what the files in `tests/pictures` show.
    """
    white = Image.new("RGB", image.size, "white")
    clear = Image.linear_gradient("L").resize(image.size)
    on_white = Image.composite(image, white, clear)
    # AVIF at its best still rounds colours to YCbCr of 8 bits.
    rounded = 6
    yield "HEIC", heic("plain.heic"), image, 0
    yield "grey HEIC", heic("grey.heic"), image.convert("L"), 2
    yield "HEIC with alpha", heic("alpha.heic"), on_white, 1
    yield "HEIC of 10 bits", heic("ten-bits.heic"), image, 1
    yield "HEIC of several pictures, the second its primary", heic("several.heic"), image, 0
    yield "HEIC with an ICC profile", heic("profile.heic"), image, 2
    yield "HEIC that its container and its EXIF turn", heic("turned.heic"), image, 0
    marked = heic("exif.heic").replace(_orientation(1), _orientation(6))
    yield "HEIC that its EXIF alone turns, which does not count", marked, image, 0
    twice = heic("turned.heic").replace(_orientation(6), _orientation(3))
    yield "HEIC whose EXIF says another turn than its container", twice, image, 0
    yield "HEIC of tiles", heif.grid(1, 1, *image.size), image, 0
    yield "AVIF", avif(image), image, rounded
    yield "grey AVIF", avif(image.convert("L")), image.convert("L"), rounded
    yield "AVIF of 10 bits", heic("ten-bits.avif"), image, rounded
    seen = image.transpose(Image.Transpose.ROTATE_90).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    yield "AVIF of 12 bits that its container turns and mirrors", heic("turned-twelve-bits.avif"), seen, 60
    veiled = image.copy()
    veiled.putalpha(clear)
    yield "AVIF with alpha", avif(veiled), on_white, rounded
    others = [image.convert("L").convert("RGB"), white]
    yield "animated AVIF", avif(image, save_all=True, append_images=others), image, rounded
    backwards = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    for orientation, how in backwards.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        held = image.transpose(Image.Transpose(how))
        yield f"AVIF held as EXIF's {orientation}", avif(held, exif=exif), image, rounded
    exif = Image.Exif()
    exif[0x010F] = "somebody"
    broken = avif(image, exif=exif).replace(b"MM\0*\0\0\0\x08", b"MM\0*\0\0\xff\xff")
    yield "AVIF with a broken EXIF", broken, image, rounded


def _orientation(value: int) -> bytes:
    """EXIF's entry of an orientation, as Pillow writes it."""
    return struct.pack(">HHIHH", 0x0112, 3, 1, value, 0)

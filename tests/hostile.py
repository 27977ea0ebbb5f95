"""Files that are sent to do harm, by family, and odd ones that are none: made here, from a seed."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from tests import hostile_heif

#: Of each family.
EACH = 10


def picture(size: tuple[int, int] = (48, 32), seed: int = 0) -> Image.Image:
    """Soft noise: every pixel is another, and JPEG keeps nearly all of it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def file_of(image: Image.Image, form: str, **how: object) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **how)
    return data.getvalue()


def files(seed: int = 0) -> list[bytes]:
    """A good file of each format."""
    image = picture(seed=seed)
    return [file_of(image, "PNG"), file_of(image, "JPEG"), file_of(image, "WEBP", lossless=True)]


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    """A PNG's chunk."""
    checksum = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(*chunks: bytes, size: tuple[int, int] = (2, 2), depth: int = 8, colour: int = 2) -> bytes:
    """A PNG with chunks between its head and its pixels."""
    width, height = size
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * (1 + 3 * 2) * 2))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def webp(canvas: tuple[int, int], *chunks: bytes, flags: int = 0) -> bytes:
    """An extended WebP of a canvas."""
    width, height = canvas[0] - 1, canvas[1] - 1
    head = struct.pack("<I", flags) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    body = b"WEBP" + riff(b"VP8X", head) + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def truncated(rng: random.Random) -> Iterator[bytes]:
    for number in range(EACH + 2):
        data = files(number)[number % 3]
        yield data[: int(len(data) * rng.uniform(0.1, 0.9))]


def wrong_magic(rng: random.Random) -> Iterator[bytes]:
    yield from (file_of(picture(), form) for form in ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "PCX"))
    yield b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    yield b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n"
    yield b"\x00\x00\x00\x1cftypavif" + rng.randbytes(200)
    yield bytes(16) + files()[0]
    yield b"MZ" + rng.randbytes(500)


def pixel_bomb(rng: random.Random) -> Iterator[bytes]:
    for size in [(100_000, 100_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (1, 50_000_000), (4001, 4000)]:
        yield png(size=size)
    rows = zlib.compress(bytes(30_000 // 8 * 30_000), 9)  # a real one: 30 kB for 900 million pixels
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0))
    yield b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    jpeg = bytearray(files()[1])
    place = jpeg.index(b"\xff\xc0") + 5
    for height, width in [(65_500, 65_500), (20_000, 20_000)]:
        jpeg[place : place + 4] = struct.pack(">HH", height, width)
        yield bytes(jpeg)
    yield webp((16_384, 16_384), files()[2][12:])
    yield webp((2**24, 2**24), files()[2][12:])


def text_bomb(rng: random.Random) -> Iterator[bytes]:
    for megabytes in (2, 5, 20, 64, 200):
        packed = zlib.compress(bytes(megabytes * 2**20), 9)
        yield png(chunk(b"zTXt", b"Comment\0\0" + packed))
        yield png(chunk(b"iTXt", b"Comment\0\1\0\0\0" + packed))
    yield png(*[chunk(b"zTXt", b"k%d\0\0" % n + zlib.compress(bytes(2**20 - 1), 9)) for n in range(100)])


def zero_size(rng: random.Random) -> Iterator[bytes]:
    for size in [(0, 0), (0, 5), (5, 0), (0, 2**31)]:
        yield png(size=size)
    jpeg = bytearray(files()[1])
    place = jpeg.index(b"\xff\xc0") + 5
    for height, width in [(0, 48), (32, 0), (0, 0)]:
        jpeg[place : place + 4] = struct.pack(">HH", height, width)
        yield bytes(jpeg)
    yield b""
    yield files()[0][:8]
    yield files()[1][:3]
    yield b"RIFF\0\0\0\0WEBP"
    yield webp((1, 1))


def polyglot(rng: random.Random) -> Iterator[bytes]:
    """What one program takes for a picture and another for something else; by its content it is not one of ours."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("photo.png", files()[0])
    good = files()
    for inner in good:
        yield b"%PDF-1.4\n1 0 obj<<>>stream\n" + inner + b"\nendstream endobj\n%%EOF"
        yield b"<html><script>/*" + inner + b"*/</script></html>"
        yield b"GIF89a/*" + inner + b"*/=1;alert(1)"
    yield archive.getvalue()
    yield b"#!/bin/sh\nexit\n" + good[0]


def exif_bomb(rng: random.Random) -> Iterator[bytes]:
    for number in range(EACH):
        exif = b"Exif\0\0MM\0*\0\0\0\x08" + rng.randbytes(4_300_000 + 100_000 * number)
        if number % 3 == 0:
            yield png(chunk(b"eXIf", exif[6:]))
        elif number % 3 == 1:
            data = files()[2]
            yield webp((48, 32), data[12:], riff(b"EXIF", exif), flags=8)
        else:  # a segment holds 64 kB, and there may be as many as one likes
            parts = (exif[at : at + 65_000] for at in range(6, len(exif), 65_000))
            segments = b"".join(b"\xff\xe1" + struct.pack(">H", 8 + len(part)) + b"Exif\0\0" + part for part in parts)
            yield files()[1][:2] + segments + files()[1][2:]


def profile_bomb(rng: random.Random) -> Iterator[bytes]:
    for number in range(EACH):
        profile = rng.randbytes(4_300_000 + 100_000 * number)
        if number % 3 == 0:
            yield png(chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(2**20 * (2 + 20 * number)), 9)))
        elif number % 3 == 1:
            yield webp((48, 32), riff(b"ICCP", profile), files()[2][12:], flags=32)
        else:
            parts = [profile[at : at + 65_000] for at in range(0, len(profile), 65_000)]
            head = b"ICC_PROFILE\0"
            segments = b"".join(
                b"\xff\xe2" + struct.pack(">H", 16 + len(part)) + head + bytes([index % 255 + 1, len(parts)]) + part
                for index, part in enumerate(parts, 0)
            )
            yield files()[1][:2] + segments + files()[1][2:]


def wrong_checksum(rng: random.Random) -> Iterator[bytes]:
    for number in range(EACH + 2):
        data = bytearray(file_of(picture(seed=number), "PNG"))
        kind = [b"IHDR", b"IDAT", b"IEND"][number % 3]
        at = data.index(kind)
        length = struct.unpack(">I", data[at - 4 : at])[0]
        data[at + 4 + length + rng.randrange(4)] ^= rng.randrange(1, 256)
        yield bytes(data)


def torn(rng: random.Random) -> Iterator[bytes]:
    """Heads that lie about what follows."""
    for number in range(EACH):
        data = bytearray(files(number)[0])
        at = data.index(b"IDAT") - 4
        data[at : at + 4] = struct.pack(">I", rng.choice([0, 1, 2**31 - 1, 2**32 - 1, rng.randrange(2**32)]))
        yield bytes(data)
        packed = zlib.compress(bytes(rng.randrange(1, 10)))  # fewer pixels than the head says
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", 900, 900, 8, 2, 0, 0, 0))
        yield b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def animated_bomb(rng: random.Random) -> Iterator[bytes]:
    """Animations whose first picture is more than may be read, or no picture."""
    for number in range(EACH // 2 + 1):
        size = 5_000 + 500 * number
        control = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
        frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, size, size, 0, 0, 1, 1, 0, 0))
        yield png(control, frame, size=(size, size))
        inner = files(number)[2][12:]
        frames = riff(b"ANMF", bytes(6) + struct.pack("<I", size)[:3] * 2 + bytes(4) + inner) * 500
        yield webp((size, size), riff(b"ANIM", bytes(6)), frames, flags=2)


def scan_bomb(rng: random.Random) -> Iterator[bytes]:
    """Progressive JPEGs with thousands of passes over a large picture: minutes of work in a few kilobytes."""
    data = file_of(Image.new("L", (3900, 3900)), "JPEG", progressive=True, quality=50)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    for number in range(EACH):
        yield data[:last] + scan * (20_000_000 // max(1, len(scan)) - 10 * number - 200) + b"\xff\xd9"


FAMILIES: Mapping[str, Callable[[random.Random], Iterator[bytes]]] = {
    "truncated": truncated,
    "wrong magic": wrong_magic,
    "pixel bomb": pixel_bomb,
    "text bomb": text_bomb,
    "zero size": zero_size,
    "polyglot": polyglot,
    "huge EXIF": exif_bomb,
    "huge ICC profile": profile_bomb,
    "wrong checksum": wrong_checksum,
    "torn": torn,
    "animated bomb": animated_bomb,
    "scan bomb": scan_bomb,
    **hostile_heif.FAMILIES,
}


def hostile(family: str) -> list[bytes]:
    """The files of a family."""
    return list(FAMILIES[family](random.Random(family)))


def odd() -> dict[str, tuple[bytes, Image.Image, int]]:
    """Files that are unusual and good: each with the picture that it shows, RGB, and by how much that may be missed."""
    image = picture()
    found: dict[str, tuple[bytes, Image.Image, int]] = {}
    #: JPEG at quality 95 of soft noise; what it loses is no business of this service.
    lossy = 24

    def add(name: str, data: bytes, shows: Image.Image, within: int = 0) -> None:
        found[name] = (data, shows.convert("RGB"), within)

    grey = image.convert("L")
    clear = Image.linear_gradient("L").resize(image.size)
    on_white = Image.composite(image, Image.new("RGB", image.size, "white"), clear)
    add("CMYK JPEG", file_of(image.convert("CMYK"), "JPEG", quality=95), image.convert("CMYK"), lossy)
    add("grey JPEG", file_of(grey, "JPEG", quality=95), grey, lossy)
    add("progressive JPEG", file_of(image, "JPEG", quality=95, progressive=True), image, lossy)
    add("JPEG with coarse colour", file_of(grey.convert("RGB"), "JPEG", quality=95, subsampling=2), grey, lossy)
    add("JPEG with a broken EXIF", file_of(image, "JPEG", quality=95, exif=b"Exif\0\0MM\0*rubbish"), image, lossy)
    mpo = io.BytesIO()
    image.save(mpo, "MPO", quality=95, save_all=True, append_images=[grey.convert("RGB")])
    add("JPEG with more pictures behind it", mpo.getvalue(), image, lossy)
    backwards = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions, by which a camera was held
    for orientation, how in backwards.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        held = image.transpose(Image.Transpose(how))
        add(f"PNG held as EXIF's {orientation}", file_of(held, "PNG", exif=exif), image)
    deep = np.asarray(grey, dtype=np.uint16) * 257
    add("16-bit grey PNG", file_of(Image.fromarray(deep), "PNG"), grey)
    rows = b"".join(
        b"\0" + (np.asarray(image, np.uint16)[y] * 257).astype(">u2").tobytes() for y in range(image.height)
    )
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0))
    body = head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    add("16-bit RGB PNG", b"\x89PNG\r\n\x1a\n" + body, image)
    few = image.quantize(17)
    add("palette PNG", file_of(few, "PNG"), few)
    hole = np.asarray(few) == 3
    shown = np.where(hole[..., None], 255, np.asarray(few.convert("RGB"))).astype(np.uint8)
    add("palette PNG with a transparent colour", file_of(few, "PNG", transparency=3), Image.fromarray(shown))
    bits = grey.convert("1")
    add("1-bit PNG", file_of(bits, "PNG"), bits)
    veiled = image.copy()
    veiled.putalpha(clear)
    add("PNG with alpha", file_of(veiled, "PNG"), on_white)
    misty = grey.copy()
    misty.putalpha(clear)
    add(
        "grey PNG with alpha",
        file_of(misty, "PNG"),
        Image.composite(grey, Image.new("L", grey.size, 255), clear),
    )
    one = image.getpixel((5, 5))
    mask = (np.asarray(image) == one).all(-1)
    cut = np.where(mask[..., None], 255, np.asarray(image)).astype(np.uint8)
    add("RGB PNG with a transparent colour", file_of(image, "PNG", transparency=one), Image.fromarray(cut))
    add("interlaced PNG", interlaced(image), image)
    others = [grey.convert("RGB"), Image.new("RGB", image.size)]
    add("animated PNG", file_of(image, "PNG", save_all=True, append_images=others), image)
    add("animated WebP", file_of(image, "WEBP", save_all=True, append_images=others, lossless=True), image)
    add("lossless WebP", file_of(image, "WEBP", lossless=True), image)
    add("WebP with alpha", file_of(veiled, "WEBP", lossless=True, exact=True), on_white)
    line = image.crop((7, 0, 8, image.height))
    add("picture one pixel wide", file_of(line, "PNG"), line)
    add("picture of one pixel", file_of(image.crop((0, 0, 1, 1)), "PNG"), image.crop((0, 0, 1, 1)))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Through the same colours and back: what the library rounds.
    add("PNG with an ICC profile", file_of(image, "PNG", icc_profile=srgb), image, 2)
    add("PNG with a broken ICC profile", file_of(image, "PNG", icc_profile=b"rubbish"), image)
    said = PngImagePlugin.PngInfo()
    said.add_text("Comment", "a cat on a beach", zip=True)
    add("PNG with text", file_of(image, "PNG", pnginfo=said), image)
    for name, data, shows, within in hostile_heif.odd(image):
        add(name, data, shows, within)
    add("PNG with something behind its end", file_of(image, "PNG") + b"PK\x03\x04 and more", image)
    return found


def interlaced(image: Image.Image) -> bytes:
    """An interlaced PNG (Adam7), which Pillow reads and does not write."""
    pixels, passes = np.asarray(image), b""
    for x, y, right, down in [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]:
        part = pixels[y::down, x::right]
        if part.size:
            passes += b"".join(b"\0" + row.tobytes() for row in part)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *image.size, 8, 2, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(passes)) + chunk(b"IEND", b"")

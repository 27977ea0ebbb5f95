"""Pictures of 50 million pixels, read by the default limits: the kernel holds the process to its memory."""

import asyncio
import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from picture_files.reading import ImageReader, ImageRefused
from service.connections import limits_of
from service.settings import Settings
from tests.heif import heic

#: As telephones with 50 megapixels write them: 49.9 million.
SIZE = (8160, 6120)
ORANGE = (200, 120, 40)


def file_of(image: Image.Image, form: str, **how: object) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **how)
    return data.getvalue()


def large(mode: str = "RGB", colour: object = ORANGE) -> Image.Image:
    return Image.new(mode, SIZE, colour)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return file_of(large(), "JPEG", exif=exif, icc_profile=profile)


FILES = {
    "JPEG": lambda: file_of(large(), "JPEG"),
    # Decoders keep all of its coefficients, six bytes a pixel, until the last pass.
    "progressive JPEG with fine colour": lambda: file_of(large(), "JPEG", progressive=True, subsampling=0),
    "CMYK JPEG": lambda: file_of(large("CMYK", (0, 90, 160, 40)), "JPEG"),
    "turned JPEG with a profile": turned,
    "PNG with alpha": lambda: file_of(large("RGBA", (*ORANGE, 128)), "PNG", compress_level=1),
    "16-bit grey PNG": lambda: file_of(Image.fromarray(np.full(SIZE[::-1], 9, np.uint16)), "PNG", compress_level=1),
    "HEIC": lambda: heic("fifty-megapixels.heic"),
    "AVIF": lambda: file_of(large(), "AVIF", speed=10, quality=50),
}


@pytest.fixture(scope="module")
def reader() -> ImageReader:
    return ImageReader(limits_of(Settings()))


@pytest.mark.parametrize("name", FILES)
def test_fifty_megapixels_are_read_within_the_memory_that_is_set(reader, name):
    with asyncio.run(reader.read(FILES[name]())) as picture:
        assert sorted((picture.width, picture.height)) == sorted(SIZE)
        png = picture.file.read()
    assert len(png) == picture.length
    # Its head and its end: to decode it again would be a test of Pillow.
    assert png[16:26] == struct.pack(">IIBB", picture.width, picture.height, 8, 2)
    assert png.endswith(b"IEND\xae\x42\x60\x82")


def test_the_memory_is_what_sixteen_megapixels_took_before():
    """128 MiB, 24 bytes for each of 16,000,000 pixels, and the largest file three times."""
    settings = Settings()

    assert settings.image_memory <= 128 * 2**20 + 24 * 16_000_000 + 3 * settings.max_image_bytes
    assert settings.max_image_pixels == 50_000_000


def test_a_file_that_its_decoder_cannot_read_within_the_memory_is_told_so_and_what_to_send(reader):
    """WebP's decoder takes sixteen bytes a pixel."""
    with pytest.raises(ImageRefused, match=r"WEBP of 8160x6120 takes .* send a PNG or JPEG") as refused:
        asyncio.run(reader.read(file_of(large(), "WEBP", method=0)))

    assert refused.value.code == "image_too_heavy"
    with asyncio.run(reader.read(file_of(Image.new("RGB", (6000, 5000), ORANGE), "WEBP", method=0))) as picture:
        assert (picture.width, picture.height) == (6000, 5000)


def test_more_pixels_than_that_are_refused_before_any_is_decoded(reader):
    with pytest.raises(ImageRefused) as refused:
        asyncio.run(reader.read(file_of(Image.new("1", (10_000, 5_001)), "PNG")))

    assert refused.value.code == "image_too_many_pixels"

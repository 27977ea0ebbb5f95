"""`python -m picture_files.decoding LIMITS`: a file on standard input, what it shows on standard output.

LIMITS is JSON with `pixels`, `seconds` of a core and `memory`, bytes of address space. The answer is one line of JSON.
Where it has neither `code` nor `detail`, as many bytes follow as its `mask` says (a PNG, where the picture's mask lies
beside it), and then the picture as a PNG, to the end.
"""

import hashlib
import io
import json
import sys
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jobs.provenance import CREDENTIALS_CHUNK, source_type_of, xmp_packet
from picture_files.decoding.bounding import bound, said_by
from picture_files.decoding.credentials import archived_apart
from picture_files.decoding.opening import MAX_METADATA, METADATA, Refused, opened
from picture_files.decoding.pixels import flattened

#: Rows that are hashed at a time.
_ROWS = 256


def main(said: str) -> None:
    """Bound this process, then read what is given and write what it shows."""
    limits = json.loads(said)
    bound(limits)
    out = sys.stdout.buffer
    shown = said_by(lambda: _shown(sys.stdin.buffer.read(), limits), out)
    if shown is None:
        return
    flat, head, mask, info = shown
    out.write(json.dumps({**head, "mask": len(mask)}).encode() + b"\n")
    out.write(mask)
    # Straight to the file that it is read from: of noise it is as large as the pixels, and would lie in memory twice.
    # What fails from here on ends the process by its status.
    flat.save(out, "PNG", compress_level=3, pnginfo=info)


def _shown(data: bytes, limits: dict[str, int]) -> tuple[Image.Image, dict[str, Any], bytes, PngInfo]:
    """The picture of a file, what is said of it, a PNG of its alpha channel as a mask, and what its own PNG says.

    Raises:
        Refused: it is no picture that can be read, or more than may be.
    """
    credentials = archived_apart(data)
    if len(credentials) > MAX_METADATA:
        raise Refused("image_metadata_too_large", METADATA)
    image, kind = opened(data, max_pixels=limits["pixels"], memory=limits["memory"])
    source_type = source_type_of(image.info.get("xmp"))
    flat, as_mask = flattened(image)
    # Of the picture, not of the file: the same pixels under any format and metadata are the same picture.
    digest = hashlib.sha256(f"RGB {flat.size}\0".encode())
    for top in range(0, flat.height, _ROWS):
        digest.update(flat.crop((0, top, flat.width, min(top + _ROWS, flat.height))).tobytes())
    file = io.BytesIO()
    if as_mask.drawn is not None:
        as_mask.drawn.convert("1").save(file, "PNG")
    said = {
        "format": kind,
        "width": flat.width,
        "height": flat.height,
        "digest": digest.hexdigest(),
        "as_mask": {"alpha": as_mask.alpha, "colour": as_mask.colour},
        "provenance": {"source_type": source_type, "credentials": bool(credentials)},
    }
    return flat, said, file.getvalue(), _info(source_type, credentials)


def _info(source_type: str | None, credentials: bytes) -> PngInfo:
    """What a kept picture says of its origin: what its file said."""
    info = PngInfo()
    if source_type is not None:
        info.add_itxt("XML:com.adobe.xmp", xmp_packet(source_type).decode())
    if credentials:
        info.add(CREDENTIALS_CHUNK, credentials)
    return info


if __name__ == "__main__":
    main(sys.argv[1])

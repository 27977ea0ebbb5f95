"""`python -m picture_files.decoding LIMITS`: a file on standard input, what it shows on standard output.

LIMITS is JSON with `pixels`, `seconds` of a core and `memory`, bytes of address space. The answer is one line of JSON.
Where it has neither `code` nor `detail`, as many bytes follow as its `mask` says (a PNG, where the picture's mask lies
beside it), and then the picture as a PNG, to the end.
"""

import hashlib
import io
import json
import math
import resource
import sys
import time
from typing import Any, BinaryIO

from PIL import Image

from picture_files.decoding.opening import Refused, opened
from picture_files.decoding.pixels import flattened

#: Rows that are hashed at a time.
_ROWS = 256


def main(said: str) -> None:
    """Bound this process, then read what is given and write what it shows."""
    limits = json.loads(said)
    # The seconds are for the file. A busy machine can take as many for the start of this process alone.
    seconds = math.ceil(time.process_time()) + limits["seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory"], limits["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = sys.stdout.buffer
    try:
        flat, head, mask = _shown(sys.stdin.buffer.read(), limits)
    except Refused as refusal:
        _say({"code": refusal.code, "detail": str(refusal)}, out)
        return
    except MemoryError:
        _say({"code": "image_too_heavy", "detail": "reading it takes more memory than it may: save it plainly"}, out)
        return
    _say({**head, "mask": len(mask)}, out)
    out.write(mask)
    # Straight to the file that it is read from: of noise it is as large as the pixels, and would lie in memory twice.
    # What fails from here on ends the process by its status.
    flat.save(out, "PNG", compress_level=3)


def _shown(data: bytes, limits: dict[str, int]) -> tuple[Image.Image, dict[str, Any], bytes]:
    """The picture of a file, what is said of it, and a PNG of its alpha channel as a mask; raises `Refused`."""
    image, kind = opened(data, max_pixels=limits["pixels"], memory=limits["memory"])
    flat, as_mask = flattened(image)
    # Of the picture, not of the file: the same pixels under any format and metadata are the same picture.
    digest = hashlib.sha256(f"RGB {flat.size}\0".encode())
    for top in range(0, flat.height, _ROWS):
        digest.update(flat.crop((0, top, flat.width, min(top + _ROWS, flat.height))).tobytes())
    file = io.BytesIO()
    if as_mask.drawn is not None:
        as_mask.drawn.convert("1").save(file, "PNG")
    said = {"format": kind, "width": flat.width, "height": flat.height, "digest": digest.hexdigest()}
    return flat, {**said, "as_mask": {"alpha": as_mask.alpha, "colour": as_mask.colour}}, file.getvalue()


def _say(answer: dict[str, Any], out: BinaryIO) -> None:
    out.write(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])

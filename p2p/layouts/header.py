"""Whether a safetensors file is whole, seen from its header: no tensor is read, and torch is not needed.

The format: 8 bytes with the header's length, the header (JSON), then the tensors' bytes, which fill the rest exactly.
Source: https://huggingface.co/docs/safetensors, "Format".
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Bytes before the header, which hold its length as a little-endian integer.
_LENGTH = 8
#: The longest header that the safetensors library reads, in bytes.
_LONGEST = 100_000_000


def damage(file: Path) -> str | None:
    """What is wrong with a safetensors file; None if it is whole.

    Raises:
        OSError: it cannot be read.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(_LENGTH), "little")
        if size < _LENGTH or length > min(size - _LENGTH, _LONGEST):
            return f"it ends within its header, after {size} bytes"
        header = opened.read(length)
    try:
        end = _end(json.loads(header))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "its header cannot be read"
    whole = _LENGTH + length + end
    return None if size == whole else f"it has {size} bytes, and its header describes {whole}"


def _end(header: dict[str, Any]) -> int:
    """Where the last tensor ends, in bytes after the header."""
    ends = [0]
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        begin, end = tensor["data_offsets"]
        if not 0 <= begin <= end:
            raise ValueError(f"{name} ends before it begins")
        ends.append(int(end))
    return max(ends)


def shapes(file: Path) -> Mapping[str, tuple[int, ...]]:
    """The tensors of a whole safetensors file, by name, with their sides.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(_LENGTH), "little")))
    return {name: _sides(said) for name, said in header.items() if name != "__metadata__"}


def _sides(said: Mapping[str, Any]) -> tuple[int, ...]:
    shape = said.get("shape")
    return tuple(shape) if isinstance(shape, list) and all(isinstance(side, int) for side in shape) else ()

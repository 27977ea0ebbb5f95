"""HEIF files put together by hand (ISO 14496-12, ISO 23008-12): grids of tiles as telephones write them, and bombs.

A file is `ftyp`, a `meta` box that says which items there are, what they are and where their bytes lie, and `mdat` with
these bytes. A grid is an item whose bytes say its rows and columns, and which refers to the items that are its tiles.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FILES = Path(__file__).parent / "pictures"


def heic(name: str) -> bytes:
    return (FILES / name).read_bytes()


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def full(kind: bytes, data: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags) + data)


def boxes(data: bytes, start: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box."""
    while start + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        yield kind, data[start + 8 : start + size]
        start += size


@dataclass(frozen=True)
class Item:
    """One of a file's items.

    Attributes:
        properties: numbers, from 1, of the file's properties.
        tiles: numbers of the items that it refers to.
        about: the number of the item that it describes.
        extents: offset in its bytes and length, where they are not all of them in a row.
    """

    kind: bytes
    data: bytes
    properties: Sequence[int] = ()
    tiles: Sequence[int] = ()
    about: int = 0
    extents: Sequence[tuple[int, int]] = ()


#: Width and height of the coded picture in plain.heic: what it shows, 48x32, is cut out of it.
CODED = 64


def coded() -> tuple[list[bytes], bytes]:
    """The properties that set the decoder up and say the colours, and the bytes of the coded picture of 64x64."""
    parts = dict(boxes(heic("plain.heic")))
    properties = dict(boxes(dict(boxes(dict(boxes(parts[b"meta"], 4))[b"iprp"]))[b"ipco"]))
    return [box(kind, properties[kind]) for kind in (b"hvcC", b"colr")], parts[b"mdat"]


def size_of(width: int, height: int) -> bytes:
    """The property that says an item's size."""
    return full(b"ispe", struct.pack(">II", width, height))


def file_of(items: Mapping[int, Item], properties: Sequence[bytes], primary: int = 1) -> bytes:
    """A file of items by their numbers."""
    infos = b"".join(full(b"infe", struct.pack(">HH4sB", n, 0, item.kind, 0), 2) for n, item in items.items())
    references = b"".join(
        box(kind, struct.pack(f">HH{len(to)}H", n, len(to), *to))
        for n, item in items.items()
        for kind, to in ((b"dimg", item.tiles), (b"cdsc", [item.about] if item.about else []))
        if to
    )
    used = b"".join(
        struct.pack(f">HB{len(item.properties)}B", n, len(item.properties), *item.properties)
        for n, item in items.items()
    )
    head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    boxes_before = [
        full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        full(b"pitm", struct.pack(">H", primary)),
        full(b"iinf", struct.pack(">H", len(items)) + infos),
        *([full(b"iref", references)] if references else []),
        box(b"iprp", box(b"ipco", b"".join(properties)) + full(b"ipma", struct.pack(">I", len(items)) + used)),
    ]

    def with_places(first: int) -> bytes:
        places, at = b"", first
        for number, item in items.items():
            extents = item.extents or [(0, len(item.data))]
            rows = b"".join(struct.pack(">II", at + start, length) for start, length in extents)
            places += struct.pack(">HHH", number, 0, len(extents)) + rows
            at += len(item.data)
        place = full(b"iloc", b"\x44\x00" + struct.pack(">H", len(items)) + places)
        return head + full(b"meta", b"".join(boxes_before) + place)

    data = b"".join(item.data for item in items.values())
    return with_places(len(with_places(0)) + 8) + box(b"mdat", data)


def single(*properties: bytes, extents: Sequence[tuple[int, int]] = (), **more: Item) -> bytes:
    """One coded picture with further properties, and further items from number 2 on."""
    setting, data = coded()
    found = [*setting, *(properties or [size_of(CODED, CODED)])]
    picture = Item(b"hvc1", data, range(1, 1 + len(found)), extents=extents)
    return file_of({1: picture, **dict(enumerate(more.values(), 2))}, found)


def grid(rows: int, columns: int, width: int, height: int, own_tiles: bool = True) -> bytes:
    """A picture of coded pictures, each an item of its own, or all of them the same one."""
    setting, data = coded()
    properties = [*setting, size_of(CODED, CODED), size_of(width, height)]
    count = rows * columns if own_tiles else 1
    tiles = {number: Item(b"hvc1", data, [1, 2, 3]) for number in range(2, 2 + count)}
    numbers = list(tiles) if own_tiles else [2] * (rows * columns)
    layout = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    return file_of({1: Item(b"grid", layout, [2, 4], numbers), **tiles}, properties)

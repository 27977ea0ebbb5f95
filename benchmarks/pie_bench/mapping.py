"""The data set's files: what is to be edited, into what, and where."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

#: What each `editing_type_id` stands for.
TYPES: Mapping[str, str] = {
    "0": "random", "1": "change_object", "2": "add_object", "3": "delete_object", "4": "change_content",
    "5": "change_pose", "6": "change_colour", "7": "change_material", "8": "change_background", "9": "change_style",
}  # fmt: skip


class InvalidSet(Exception):
    """The directory is no data set in PIE-Bench's format, and what about it is not."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One edit of one picture.

    Attributes:
        id: its key in the mapping file.
        type_id: a key of `TYPES`.
        picture: the picture's file.
        source, target: the prompts, without the brackets that mark what changes.
        blended: the source's and the target's word whose region may change; None if the set names none.
        runs: the region that is edited: start and length, start and length, ... over the rows of the picture.
    """

    id: str
    type_id: str
    picture: Path
    source: str
    target: str
    blended: tuple[str, str] | None
    runs: Sequence[int]

    def image(self) -> Image.Image:
        """The picture, RGB."""
        with Image.open(self.picture) as image:
            return image.convert("RGB")


def items(data: Path) -> Iterator[Item]:
    """Every edit of a data set, in the mapping file's order.

    Raises:
        InvalidSet: there is no mapping file, or an entry of it cannot be read.
    """
    file = data / "mapping_file.json"
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSet(f"{file} cannot be read ({error}): name the directory that holds it") from error
    for item_id, entry in entries.items():
        try:
            yield _item(item_id, entry, data)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidSet(f"entry {item_id} of {file} cannot be read: {type(error).__name__} {error}") from error


def _item(item_id: str, entry: Mapping, data: Path) -> Item:
    words = entry["blended_word"].split(" ") if entry["blended_word"] else []
    if len(words) == 1:
        raise ValueError(f"blended_word is {entry['blended_word']!r} and needs a word of each prompt")
    runs = [int(number) for number in entry["mask"]]
    if len(runs) % 2:
        raise ValueError(f"the mask has {len(runs)} numbers and needs pairs of start and length")
    return Item(
        id=item_id,
        type_id=str(entry["editing_type_id"]),
        picture=data / "annotation_images" / entry["image_path"],
        source=_plain(entry["original_prompt"]),
        target=_plain(entry["editing_prompt"]),
        # As published: the first two, whatever follows.
        blended=(words[0], words[1]) if words else None,
        runs=runs,
    )


def _plain(prompt: str) -> str:
    return prompt.replace("[", "").replace("]", "")


def region(runs: Sequence[int], height: int, width: int) -> np.ndarray:
    """The pixels that an edit may change, (height, width) bool.

    What a run has beyond the last pixel is cut off, and the outermost pixels always belong to it ("to avoid annotation
    errors in boundary", `mask_decode`).
    """
    flat = np.zeros(height * width, bool)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        flat[start : start + length] = True
    mask = flat.reshape(height, width)
    mask[[0, -1]] = True
    mask[:, [0, -1]] = True
    return mask


def as_runs(mask: np.ndarray) -> list[int]:
    """A region, (height, width) bool, as the mapping file has it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask.ravel(), [False]])))
    return [int(number) for start, stop in edges.reshape(-1, 2) for number in (start, stop - start)]

"""Textual inversions, seen from their headers: how many vectors of which width, without torch.

diffusers' files hold one tensor, named after the word. Automatic1111's hold one that is called `emb_params`. Those of
SDXL hold one for each of its text encoders, `clip_l` and `clip_g`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from p2p.layouts.base import Layout, Parts, Reader, Trouble, value_of
from p2p.layouts.header import shapes
from p2p.layouts.single_file import unreadable

#: How many names are shown of tensors that are no textual inversion's.
_SHOWN = 3
_ANOTHER = "name a textual inversion of this model's family"


def troubles(file: Path, layout: Layout, parts: Parts) -> Iterator[Trouble]:
    """What keeps a textual inversion from being a word of a model."""
    if trouble := unreadable(file, "textual inversion"):
        yield trouble
        return
    found = shapes(file)
    names = _names(found, layout)
    if names is None:
        yield _of_other_encoders(file, found, layout)
        return
    for reader, name in names.items():
        yield from _of_another_encoder(file, found[name], reader, parts)
    counts = {name: _count(found[name]) for name in names.values()}
    if len(set(counts.values())) > 1:
        said = " and ".join(f"{count} vectors in {name}" for name, count in counts.items())
        yield Trouble(f"{file} has {said}, and a word is as many tokens for each text encoder", "fetch it again, whole")


def vectors(file: Path, layout: Layout) -> int:
    """How many vectors a textual inversion has: so many tokens its word is.

    Raises:
        ValueError: it is none of this layout (`troubles`).
    """
    found = shapes(file)
    names = _names(found, layout)
    counts = {_count(found[name]) for name in names.values()} if names else set()
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"{file} is no textual inversion of the layout")
    return counts.pop()


def tensor_name(file: Path, layout: Layout, reader: Reader) -> str:
    """The name of the tensor that holds a text encoder's vectors, in a file about which there is no trouble."""
    return (_names(shapes(file), layout) or {})[reader]


def _names(found: Mapping[str, tuple[int, ...]], layout: Layout) -> Mapping[Reader, str] | None:
    """The tensor of each text encoder; None if the file has others, or fewer, or tensors of another form."""
    readers, names = layout.readers, list(found)
    if len(names) != len(readers) or not all(1 <= len(shape) <= 2 for shape in found.values()):
        return None
    if len(readers) == 1:
        return None if names[0] in _SDXL else {readers[0]: names[0]}
    wanted = {reader: str(reader.learned) for reader in readers}
    return wanted if set(wanted.values()) == set(names) else None


def _count(shape: tuple[int, ...]) -> int:
    return shape[0] if len(shape) == 2 else 1


#: The names in files of SDXL; one of them alone is no file of one text encoder's.
_SDXL = ("clip_l", "clip_g")


def _of_other_encoders(file: Path, found: Mapping[str, tuple[int, ...]], layout: Layout) -> Trouble:
    if len(layout.readers) == 1 and set(found) & set(_SDXL):
        return Trouble(f"{file} is a textual inversion of SDXL, and this model has one text encoder", _ANOTHER)
    said = ", ".join(f"{name} {list(shape)}" for name, shape in list(found.items())[:_SHOWN]) or "nothing"
    if len(layout.readers) == 1:
        return Trouble(f"{file} holds {said}, and a textual inversion is one tensor of a few vectors", "correct `path`")
    wanted = " and ".join(f"{reader.learned} for its {reader.encoder}" for reader in layout.readers)
    return Trouble(f"{file} holds {said}, and a textual inversion of this model is {wanted}", _ANOTHER)


def _of_another_encoder(file: Path, shape: tuple[int, ...], reader: Reader, parts: Parts) -> Iterator[Trouble]:
    """What keeps one tensor from being a text encoder's."""
    width = value_of(parts, f"{reader.encoder}.hidden_size")
    limit = value_of(parts, f"{reader.encoder}.max_position_embeddings")
    where = f" in {reader.learned}" if reader.learned else ""
    if width is not None and shape[-1] != width:
        what = f"{file} has vectors of {shape[-1]} numbers{where}, and this model's {reader.encoder} has {width}"
        yield Trouble(what, _ANOTHER)
    elif 0 in shape:
        yield Trouble(f"{file} has no vectors{where}", "fetch it again")
    elif limit is not None and _count(shape) > limit - 2:
        yield Trouble(
            f"{file} has {_count(shape)} vectors{where}, and the {reader.encoder} reads {limit} tokens with start and "
            "end",
            "name a textual inversion of fewer vectors",
        )

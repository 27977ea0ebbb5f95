"""Textual inversions, seen from their headers: how many vectors of which width, without torch.

diffusers' files hold one tensor, named after the word. Automatic1111's hold one that is called `emb_params`. Those of
SDXL hold one for each of its text encoders.
"""

from collections.abc import Iterator
from pathlib import Path

from p2p.layouts.base import Parts, Trouble, value_of
from p2p.layouts.header import shapes
from p2p.layouts.single_file import unreadable

_WIDTH, _LIMIT = "text_encoder.hidden_size", "text_encoder.max_position_embeddings"


def troubles(file: Path, parts: Parts) -> Iterator[Trouble]:
    """What keeps a textual inversion from being a word of a model."""
    if trouble := unreadable(file, "textual inversion"):
        yield trouble
        return
    found = shapes(file)
    if {"clip_g", "clip_l"} & set(found):
        yield Trouble(f"{file} is a textual inversion of SDXL, and this model has one text encoder", _ANOTHER)
    elif len(found) != 1 or not 1 <= len(next(iter(found.values()))) <= 2:
        said = ", ".join(f"{name} {list(shape)}" for name, shape in list(found.items())[:3]) or "nothing"
        yield Trouble(f"{file} holds {said}, and a textual inversion is one tensor of a few vectors", "correct `path`")
    else:
        (shape,) = found.values()
        wanted, limit = value_of(parts, _WIDTH), value_of(parts, _LIMIT)
        if wanted is not None and shape[-1] != wanted:
            what = f"{file} has vectors of {shape[-1]} numbers, and this model's text encoder has {wanted}"
            yield Trouble(what, _ANOTHER)
        elif 0 in shape:
            yield Trouble(f"{file} has no vectors", "fetch it again")
        elif limit is not None and vectors(file) > limit - 2:
            what = f"{file} has {vectors(file)} vectors, and the text encoder reads {limit} tokens with start and end"
            yield Trouble(what, "name a textual inversion of fewer vectors")


_ANOTHER = "name a textual inversion of this model's family"


def vectors(file: Path) -> int:
    """How many vectors a textual inversion has: so many tokens its word is."""
    (shape,) = shapes(file).values()
    return shape[0] if len(shape) == 2 else 1

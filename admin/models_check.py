"""`python -m admin models check`: what keeps a declared model from being served, and what mends it.

It reads a model's small files and its weights' headers, without torch. It says what a worker would refuse and the API
could not count with. Of a hub id those files are fetched, never the weights.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from jobs.catalogue import ModelDeclaration
from jobs.errors import InvalidCatalogue
from p2p.errors import UnsupportedModel
from p2p.layouts import LAYOUTS
from p2p.layouts.base import Layout, Parts, Trouble, beyond_half
from p2p.layouts.checks import Described, chosen_variant, described, wrong
from p2p.layouts.embeddings import vectors
from p2p.layouts.enlarging import beyond_stages, cell_of, reaches_of
from p2p.layouts.model_files import ModelFiles
from p2p.layouts.reach import nearest
from prompts.counting import counter_of
from prompts.tokenization.opened import open_tokenizer, tokenizer_alone

#: Two tokenizers that read this alike are taken for the same one.
_PROBE = "A photo of 2 cats, red-haired; it's snow-white & très belle!"


def checked(model: ModelDeclaration) -> Sequence[str]:
    """Everything that is wrong with a declared model, each with what mends it."""
    return list(dict.fromkeys(map(str, _troubles(model))))


def remarks(model: ModelDeclaration) -> Iterator[str]:
    """What is worth knowing of a model that nothing is wrong with."""
    counter = counter_of(model)
    yield f"reads {counter.limit} tokens"
    layout, files = LAYOUTS[model.family], ModelFiles.of(model)
    found = described(layout, files, model.scheduler)
    if found.substitution is not None:
        yield str(found.substitution)
    if variant := chosen_variant(layout, files, found):
        yield f"has weights of the variant {variant}"
    if model.config is not None:
        yield "is a single file"
    if model.loras:
        yield f"has {_count(len(model.loras), 'LoRA')} fused"
    if model.lora_choices:
        yield f"has {_count(len(model.lora_choices), 'LoRA')} that requests may name"
    if model.embeddings:
        words = (f"{each.token} ({_count(vectors(Path(each.path), layout), 'token')})" for each in model.embeddings)
        yield f"has learned {', '.join(words)}"
    if model.offload is not None:
        yield "keeps its networks in main memory until a GPU needs them"
    if model.quantize is not None:
        yield f"has its {layout.quantized} in {model.quantize}, for which workers need torchao"
    reaches = reaches_of(layout, files, found.parts)
    if len(reaches) > 1:
        further = ((size, nearest(reaches, *size)) for size in model.sizes)
        made = (f"{h}x{w} by {_count(number, 'stage') if number else 'itself'}" for (h, w), number in further)
        yield f"makes {', '.join(made)}"
    if unused := [part for part in layout.unused if part in found.parts]:
        yield f"is served without its {', '.join(unused)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _troubles(model: ModelDeclaration) -> Iterator[Trouble | str]:
    try:
        counter_of(model)
    except InvalidCatalogue as error:
        yield str(error)
    layout = LAYOUTS.get(model.family)
    if layout is None:
        families = " or ".join(f'"{family}"' for family in LAYOUTS)
        yield Trouble(f"there is no model family {model.family}", f"set `family` to {families}")
        return
    files = ModelFiles.of(model)
    try:
        found = described(layout, files, model.scheduler)
        yield from wrong(model.family, layout, files, found)
    except UnsupportedModel as error:
        yield str(error)
        return
    yield from beyond_half(layout, found.parts, model.torch_dtype)
    yield from _sizes(model, layout, found.parts)
    yield from _tokenizer(model, found)


def _sizes(model: ModelDeclaration, layout: Layout, parts: Parts) -> Iterator[Trouble]:
    if not layout.kinds.keys() <= parts.keys():
        return
    files = ModelFiles.of(model)
    yield from beyond_stages(layout, files, parts, model.sizes)
    cells = {size: cell_of(layout, files, parts, *size) for size in model.sizes}
    wrong: dict[int, list[str]] = {}
    for (height, width), cell in cells.items():
        if height % cell or width % cell:
            wrong.setdefault(cell, []).append(f"{height}x{width}")
    fitting = dict.fromkeys(
        tuple(max(cell, round(side / cell) * cell) for side in size) for size, cell in cells.items()
    )
    for cell, sizes in wrong.items():
        yield Trouble(
            f"the sides of {' and '.join(sizes)} are no multiples of {cell}",
            f"set `sizes` to {[list(size) for size in fitting]}",
        )


def _tokenizer(model: ModelDeclaration, found: Described) -> Iterator[Trouble]:
    """Whether the tokenizer that is named is the model's, and the text encoder has all its tokens."""
    parts = found.parts
    try:
        opened = tokenizer_alone(model).tokenizer
    except InvalidCatalogue:
        return  # said already
    known = parts["text_encoder"].config.get("vocab_size") if "text_encoder" in parts else None
    if known is not None and opened.get_vocab_size() > known:
        what = f"the tokenizer has {opened.get_vocab_size()} tokens, and the text encoder knows {known}"
        yield Trouble(what, "set `tokenizer` to the model's own, or leave it out")
    if model.tokenizer is None:
        return
    try:
        own = open_tokenizer(found.folder).tokenizer
    except InvalidCatalogue:
        return  # the model brings none
    if own.encode(_PROBE).ids != opened.encode(_PROBE).ids:
        yield Trouble(f"{model.tokenizer} reads prompts otherwise than the model's own tokenizer", "leave it out")

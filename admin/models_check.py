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
from p2p.layouts.base import Layout, Part, Parts, Trouble, unhandled
from p2p.layouts.files import SMALL_FILES, parts_of
from p2p.layouts.hub import fetched, names
from p2p.layouts.schedulers import SCHEDULER_CLASSES
from p2p.layouts.weights import troubles, variant_of, variants_by_part, weighted
from prompts.counting import counter_of
from prompts.tokenization.opened import open_tokenizer, tokenizer_of

#: Two tokenizers that read this alike are taken for the same one.
_PROBE = "A photo of 2 cats, red-haired; it's snow-white & très belle!"


def checked(model: ModelDeclaration) -> Sequence[str]:
    """Everything that is wrong with a declared model, each with what mends it."""
    return [str(trouble) for trouble in dict.fromkeys(_troubles(model))]


def remarks(model: ModelDeclaration) -> Iterator[str]:
    """What is worth knowing of a model that nothing is wrong with."""
    counter = counter_of(model)
    yield f"reads {counter.limit} tokens"
    layout, parts = LAYOUTS[model.family], parts_of(_folder(model))
    if variant := variant_of(_names(model), weighted(layout, parts)):
        yield f"has weights of the variant {variant}"
    if unused := [part for part in layout.unused if part in parts]:
        yield f"is served without its {', '.join(unused)}"


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
    try:
        parts = _declared_parts(model)
    except UnsupportedModel as error:
        yield str(error)
        return
    yield from unhandled(model.family, layout, parts)
    yield from _weights(model, weighted(layout, parts))
    yield from _sizes(model, layout, parts)
    yield from _tokenizer(model, parts)


def _folder(model: ModelDeclaration) -> Path:
    return Path(model.path) if model.revision is None else fetched(model.path, model.revision, SMALL_FILES)


def _names(model: ModelDeclaration) -> Sequence[str]:
    if model.revision is not None:
        return names(model.path, model.revision)
    folder = Path(model.path)
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _declared_parts(model: ModelDeclaration) -> Parts:
    """A model's parts, with the scheduler that is declared in its own one's place."""
    parts = parts_of(_folder(model))
    if model.scheduler is None or "scheduler" not in parts:
        return parts
    return {**parts, "scheduler": Part((SCHEDULER_CLASSES[model.scheduler],), parts["scheduler"].config)}


def _weights(model: ModelDeclaration, parts: Sequence[str]) -> Iterator[Trouble]:
    if model.revision is None:
        yield from troubles(Path(model.path), parts)
        return
    found = variants_by_part(_names(model), parts)
    if missing := [part for part, variants in found.items() if not variants]:
        yield Trouble(
            f"{model.path} has no safetensors of {' and '.join(missing)} at revision {model.revision}",
            "set `revision` to one that has them, or download and convert it",
        )


def _sizes(model: ModelDeclaration, layout: Layout, parts: Parts) -> Iterator[Trouble]:
    if "vae" not in parts:
        return
    cell = layout.cell(parts)
    wrong = [size for size in model.sizes if any(side % cell for side in size)]
    if wrong:
        fitting = dict.fromkeys(tuple(max(cell, round(side / cell) * cell) for side in size) for size in model.sizes)
        said = " and ".join(f"{height}x{width}" for height, width in wrong)
        yield Trouble(
            f"the sides of {said} are no multiples of {cell}", f"set `sizes` to {[list(size) for size in fitting]}"
        )


def _tokenizer(model: ModelDeclaration, parts: Parts) -> Iterator[Trouble]:
    """Whether the tokenizer that is named is the model's, and the text encoder has all its tokens."""
    try:
        opened = tokenizer_of(model).tokenizer
    except InvalidCatalogue:
        return  # said already
    known = parts["text_encoder"].config.get("vocab_size") if "text_encoder" in parts else None
    if known is not None and opened.get_vocab_size() > known:
        what = f"the tokenizer has {opened.get_vocab_size()} tokens, and the text encoder knows {known}"
        yield Trouble(what, "set `tokenizer` to the model's own, or leave it out")
    if model.tokenizer is None:
        return
    try:
        own = open_tokenizer(_folder(model)).tokenizer
    except InvalidCatalogue:
        return  # the model brings none
    if own.encode(_PROBE).ids != opened.encode(_PROBE).ids:
        yield Trouble(f"{model.tokenizer} reads prompts otherwise than the model's own tokenizer", "leave it out")

"""How many weights a model has, seen from its files' headers before any is loaded."""

from collections.abc import Iterator
from math import prod
from pathlib import Path

from p2p.layouts.base import Layout
from p2p.layouts.checks import Described, chosen_variant, described, names_of
from p2p.layouts.enlarging import stage_of
from p2p.layouts.files import parts_of
from p2p.layouts.header import shapes
from p2p.layouts.model_files import ModelFiles
from p2p.layouts.weights import variants_by_part, weighted

#: Averages over a training, which single files may hold beside the weights and which are never loaded.
_AVERAGED = "model_ema."
#: In the name of each shard of a file.
_SHARD = "-of-"


def number_of_weights(layout: Layout, files: ModelFiles, model: Described) -> int | None:
    """Numbers that are loaded, of files that nothing is wrong with; None while the weights are on the hub."""
    if model.on_hub:
        return None
    paths = [Path(files.path)] if files.config is not None else list(_chosen(layout, files, model))
    for further in map(ModelFiles, files.stages):
        paths += _chosen(stage := stage_of(layout, parts_of(Path(further.path))), further, described(stage, further))
    return sum(prod(sides) for path in paths for name, sides in shapes(path).items() if not name.startswith(_AVERAGED))


def _chosen(layout: Layout, files: ModelFiles, model: Described) -> Iterator[Path]:
    """The files of each part's weights: of the variant that is loaded, and whole or in shards, never both."""
    parts, names, variant = weighted(layout, model.parts), names_of(files, model), chosen_variant(layout, files, model)
    found = variants_by_part(names, parts)
    for part in parts:
        of_part = variant if variant in found[part] else None
        weights = [name for name in names if of_part in variants_by_part([name], [part])[part]]
        whole = [name for name in weights if _SHARD not in name]
        yield from (model.folder / name for name in whole or weights)

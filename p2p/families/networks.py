"""A model's networks, each loaded from its own folder: for pipelines that diffusers cannot load as a whole."""

from collections.abc import Mapping
from typing import Any

import torch

from p2p.families.source import Source
from p2p.layouts.base import Layout
from p2p.layouts.checks import described, names_of
from p2p.layouts.weights import variants_by_part, weighted


def networks_of(
    source: Source, layout: Layout, kinds: Mapping[str, Any], *, device: str, dtype: torch.dtype
) -> dict[str, Any]:
    """The networks of a model whose files are right, by the names of their parts; safetensors only, never a pickle.

    Args:
        kinds: the class of each part.
    """
    model = described(layout, source.files)
    variants = variants_by_part(names_of(source.files, model), weighted(layout, model.parts))
    made = {}
    for name, kind in kinds.items():
        network = kind.from_pretrained(
            source.files.path,
            subfolder=name,
            revision=source.files.revision,
            variant=source.variant if source.variant in variants[name] else None,
            use_safetensors=True,
            dtype=dtype,
        )
        made[name] = network.to(device).eval()
    return made

"""aMUSEd's parts, each loaded from its own folder: diffusers' pipeline class is deprecated, and these are not."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from diffusers import AmusedScheduler, UVit2DModel, VQModel
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from p2p.families.source import Source
from p2p.layouts.amused import AMUSED
from p2p.layouts.checks import described, names_of
from p2p.layouts.weights import variants_by_part, weighted

_NETWORKS: Mapping[str, Any] = {
    "vqvae": VQModel,
    "text_encoder": CLIPTextModelWithProjection,
    "transformer": UVit2DModel,
}


class AmusedParts:
    """What `AmusedPipeline` holds, by its names."""

    def __init__(self, **components: Any) -> None:
        self.components = components
        self.vqvae, self.transformer = components["vqvae"], components["transformer"]
        self.text_encoder, self.tokenizer = components["text_encoder"], components["tokenizer"]
        self.scheduler = components["scheduler"]

    @classmethod
    def load(cls, source: Source, *, device: str, dtype: torch.dtype) -> Self:
        """The parts of a model whose files are right; safetensors only, never a pickle."""
        path, revision = source.files.path, source.files.revision
        model = described(AMUSED, source.files)
        variants = variants_by_part(names_of(source.files, model), weighted(AMUSED, model.parts))
        made: dict[str, Any] = {}
        for name, kind in _NETWORKS.items():
            network = kind.from_pretrained(
                path,
                subfolder=name,
                revision=revision,
                variant=source.variant if source.variant in variants[name] else None,
                use_safetensors=True,
                dtype=dtype,
            )
            made[name] = network.to(device).eval()
        where = {"subfolder": "tokenizer", "revision": revision}
        made["tokenizer"] = CLIPTokenizer.from_pretrained(path, **where)
        made["scheduler"] = AmusedScheduler.from_pretrained(path, **where | {"subfolder": "scheduler"})
        return cls(**made)

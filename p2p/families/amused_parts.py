"""aMUSEd's parts, each loaded from its own folder: diffusers' pipeline class is deprecated, and these are not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import AmusedScheduler, UVit2DModel, VQModel
from safetensors.torch import load_file
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from p2p.families.networks import networks_of
from p2p.families.source import Source
from p2p.layouts.amused import AMUSED

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

    #: The part that LoRAs may change, by the name that `p2p.families.loras` reads it by.
    _lora_loadable_modules = ("transformer",)

    def load_lora_weights(self, folder: str, *, weight_name: str, adapter_name: str, **_: Any) -> None:
        """Puts a LoRA beside the transformer's weights. The caller counts what it has for other parts."""
        tensors = load_file(Path(folder) / weight_name)
        self.transformer.load_lora_adapter(tensors, prefix="transformer", adapter_name=adapter_name)

    def set_adapters(self, names: Sequence[str], weights: Sequence[float]) -> None:
        """How strong LoRAs are that are beside the weights."""
        self.transformer.set_adapters(list(names), list(weights))

    def fuse_lora(self, components: Sequence[str]) -> None:
        """Adds what is beside the weights to them."""
        self.transformer.fuse_lora()

    def unload_lora_weights(self) -> None:
        """Takes what is beside the weights away."""
        self.transformer.unload_lora()

    @classmethod
    def load(cls, source: Source, *, device: str, dtype: torch.dtype) -> Self:
        """The parts of a model whose files are right; safetensors only, never a pickle."""
        path, revision = source.files.path, source.files.revision
        made = networks_of(source, AMUSED, _NETWORKS, device=device, dtype=dtype)
        where = {"subfolder": "tokenizer", "revision": revision}
        made["tokenizer"] = CLIPTokenizer.from_pretrained(path, **where)
        made["scheduler"] = AmusedScheduler.from_pretrained(path, **where | {"subfolder": "scheduler"})
        return cls(**made)

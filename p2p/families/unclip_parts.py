"""An unCLIP model's parts, each loaded from its own folder, and its scheduler.

diffusers 0.42 cannot load the pipeline as a whole: published files say that `text_proj` is of a library "unclip", which
it does not know, and its own files name a class that it does not export. The parts load, and so does the class from
where it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from diffusers import PriorTransformer, UnCLIPScheduler, UNet2DConditionModel, UNet2DModel
from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
from torch import Tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from p2p.families.networks import networks_of
from p2p.families.source import Source
from p2p.layouts.unclip import UNCLIP

_NETWORKS: Mapping[str, Any] = {
    "text_encoder": CLIPTextModelWithProjection,
    "prior": PriorTransformer,
    "text_proj": UnCLIPTextProjModel,
    "decoder": UNet2DConditionModel,
    "super_res_first": UNet2DModel,
    "super_res_last": UNet2DModel,
}
_SCHEDULERS = ("prior_scheduler", "decoder_scheduler", "super_res_scheduler")


class SteppingScheduler(UnCLIPScheduler):
    """diffusers' scheduler, which knows by itself what timestep comes after a step.

    It takes the next one down where nobody says it: a run of a few steps is then all wrong, without an error.
    """

    def set_timesteps(self, num_inference_steps: int, device: str | torch.device | None = None) -> None:
        """Raises `ValueError` for one step, between whose timesteps there is no distance."""
        if num_inference_steps < 2:
            raise ValueError("UnCLIPScheduler makes two steps at least")
        super().set_timesteps(num_inference_steps, device=device)

    def step(
        self,
        model_output: Tensor,
        timestep: Any,
        sample: Tensor,
        prev_timestep: Any = None,
        generator: Any = None,
        return_dict: bool = True,
    ) -> Any:
        """As the class's own, whose `prev_timestep` is found here."""
        at = int((self.timesteps == timestep).nonzero()[0])
        after = int(self.timesteps[at + 1]) if at + 1 < len(self.timesteps) else None
        return super().step(
            model_output, int(timestep), sample, prev_timestep=after, generator=generator, return_dict=return_dict
        )


class UnCLIPParts:
    """What `UnCLIPPipeline` holds, by its names; `unet` and `scheduler` are the decoder's."""

    #: No part of it has a LoRA that is known.
    _lora_loadable_modules: ClassVar[Sequence[str]] = ()

    def __init__(self, **components: Any) -> None:
        self.components = components
        self.tokenizer, self.text_encoder = components["tokenizer"], components["text_encoder"]
        self.prior, self.text_proj = components["prior"], components["text_proj"]
        self.unet = components["decoder"]
        self.super_res_first, self.super_res_last = components["super_res_first"], components["super_res_last"]
        self.prior_scheduler, self.scheduler, self.super_res_scheduler = (
            SteppingScheduler.from_config(components[name].config) for name in _SCHEDULERS
        )
        #: What the super-resolution makes of a pixel's side.
        self.factor = self.super_res_first.config.sample_size // self.unet.config.sample_size

    @classmethod
    def load(cls, source: Source, *, device: str, dtype: torch.dtype) -> Self:
        """The parts of a model whose files are right; safetensors only, never a pickle."""
        path, revision = source.files.path, source.files.revision
        made = networks_of(source, UNCLIP, _NETWORKS, device=device, dtype=dtype)
        made["tokenizer"] = CLIPTokenizer.from_pretrained(path, subfolder="tokenizer", revision=revision)
        for name in _SCHEDULERS:
            made[name] = UnCLIPScheduler.from_pretrained(path, subfolder=name, revision=revision)
        return cls(**made)

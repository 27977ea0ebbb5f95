"""What diffusers' own pipelines of flows make of prompts, with what each wants to be called with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from p2p.families.flow import FlowFamily
from p2p.families.flux import packed, unpacked
from p2p.sampling import noise_streams

#: How a pipeline is told the scale, and a negative prompt of each prompt.
_GUIDED: Mapping[str, Callable[[float, list[str]], dict[str, Any]]] = {
    "stable_diffusion_3": lambda scale, without: {"guidance_scale": scale, "negative_prompt": without},
    "flux": lambda scale, without: {"guidance_scale": scale},
    "flux2_klein": lambda scale, without: {"guidance_scale": scale, "text_encoder_out_layers": (9, 18, 27)},
    "z_image": lambda scale, without: {"guidance_scale": scale, "negative_prompt": without},
    "qwen_image": lambda scale, without: {
        "true_cfg_scale": scale,
        "negative_prompt": without if scale > 1 else None,
    },
}
#: Pipelines that take their noise, and give latents, as positions.
_PACKED = ("flux", "qwen_image")


def plainly(
    family: FlowFamily,
    prompts: Sequence[str],
    size: tuple[int, int] = (32, 32),
    guidance_scale: float = 5.0,
    negative_prompt: str = "",
) -> Tensor:
    """What the plain pipeline makes in four steps of prompts that share the noise of seed 1, as `shown` says."""
    shape = family.latent_shape(*size)
    noise = torch.randn((1, *shape), generator=noise_streams(1, 1)[0]).expand(len(prompts), -1, -1, -1)
    is_packed = family.name in _PACKED
    made = family.pipeline(
        prompt=list(prompts),
        height=size[0],
        width=size[1],
        num_inference_steps=4,
        output_type="latent",
        latents=packed(noise) if is_packed else noise,
        max_sequence_length=family.tokenizer.model_max_length,
        **_GUIDED[family.name](guidance_scale, [negative_prompt] * len(prompts)),
    ).images
    return unpacked(made, *shape[1:]) if is_packed else made


def shown(family: FlowFamily, latents: Tensor) -> Tensor:
    """Latents as the pipeline gives them: FLUX.2's are the autoencoder's own."""
    return latents if family.name != "flux2_klein" else family.unscaled(latents)  # type: ignore[attr-defined]

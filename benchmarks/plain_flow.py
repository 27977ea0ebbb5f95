"""The loops of diffusers' pipelines of flows between their prompts and their latents: `benchmarks.sampler` compares."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from p2p.families.flow import FlowFamily
from p2p.families.flux import packed
from p2p.spec import EditSpec

#: A network's output for latents at a timestep, guided.
Output = Callable[[Tensor, Tensor], Tensor]


class PlainFlow:
    """The pipeline's own loop. FLUX.1's latents are packed before it."""

    @torch.no_grad()
    def __init__(self, family: FlowFamily, made: EditSpec) -> None:
        # `benchmarks.variants.spec` says them.
        assert made.sampling.steps is not None
        assert made.sampling.guidance_scale is not None
        shape = family.latent_shape(made.sampling.height, made.sampling.width)
        positions = (shape[1] // family.patch) * (shape[2] // family.patch)
        self.scheduler = family.scheduler(made.sampling.steps, positions)
        self.num_steps = made.sampling.steps
        noise = torch.randn((1, *shape), generator=torch.Generator().manual_seed(0))
        noise = noise.to(family.device, family.dtype).repeat(len(made.prompts), 1, 1, 1)
        self.latents, self._output = _LOOPS[family.name](family, made, noise)

    @torch.no_grad()
    def step(self, index: int) -> Tensor:
        timestep = self.scheduler.timesteps[index]
        output = self._output(self.latents, timestep)
        # diffusers counts steps by itself, and here some are left out.
        self.scheduler._step_index = index
        self.latents = self.scheduler.step(output, timestep, self.latents, return_dict=False)[0]
        return self.latents


def _flux(family: Any, made: EditSpec, noise: Tensor) -> tuple[Tensor, Output]:
    parts, (_, _, height, width) = family.pipeline, noise.shape
    limit = family.tokenizer.segments[-1].limit
    text, pooled, text_ids = parts.encode_prompt(list(made.prompts), None, max_sequence_length=limit)
    ids = parts._prepare_latent_image_ids(len(noise), height // 2, width // 2, family.device, family.dtype)
    scale = torch.full([len(noise)], made.sampling.guidance_scale or 0, device=family.device, dtype=torch.float32)

    def output(latents: Tensor, timestep: Tensor) -> Tensor:
        return family.network(
            hidden_states=latents,
            timestep=timestep.expand(len(latents)).to(latents.dtype) / 1000,
            guidance=scale,
            pooled_projections=pooled,
            encoder_hidden_states=text,
            txt_ids=text_ids,
            img_ids=ids,
            return_dict=False,
        )[0]

    return packed(noise), output


def _stable_diffusion_3(family: Any, made: EditSpec, noise: Tensor) -> tuple[Tensor, Output]:
    prompts, limit = list(made.prompts), family.tokenizer.segments[-1].limit
    text, without, pooled, pooled_without = family.pipeline.encode_prompt(
        prompts, None, None, negative_prompt=[""] * len(prompts), max_sequence_length=limit
    )
    texts, vectors = torch.cat([without, text]), torch.cat([pooled_without, pooled])

    def output(latents: Tensor, timestep: Tensor) -> Tensor:
        both = family.network(
            hidden_states=torch.cat([latents] * 2),
            timestep=timestep.expand(2 * len(latents)),
            encoder_hidden_states=texts,
            pooled_projections=vectors,
            return_dict=False,
        )[0]
        unguided, guided = both.chunk(2)
        return unguided + made.sampling.guidance_scale * (guided - unguided)

    return noise, output


_LOOPS: Mapping[str, Callable[[Any, EditSpec, Tensor], tuple[Tensor, Output]]] = {
    "flux": _flux,
    "stable_diffusion_3": _stable_diffusion_3,
}

"""The loop of `AmusedPipeline.__call__` between its prompts and its tokens: `benchmarks.sampler` compares with it."""

import torch
from torch import Tensor

from p2p.families.amused import Amused
from p2p.spec import EditSpec


class PlainTokens:
    """The pipeline's own loop: one generator for all rows, which it draws one after the other."""

    @torch.no_grad()
    def __init__(self, family: Amused, made: EditSpec) -> None:
        assert made.sampling.steps  # `benchmarks.variants.spec` says them
        parts, self.family, self.scale = family.pipeline, family, made.sampling.guidance_scale
        self.scheduler = type(parts.scheduler).from_config(parts.scheduler.config)
        self.scheduler.set_timesteps(made.sampling.steps, device=family.device)
        self.num_steps = made.sampling.steps
        prompts = [*[""] * len(made.prompts), *made.prompts]
        ids = parts.tokenizer(prompts, return_tensors="pt", padding="max_length", truncation=True).input_ids
        said = parts.text_encoder(ids.to(family.device), output_hidden_states=True)
        _, height, width = family.latent_shape(made.sampling.height, made.sampling.width)
        # The width first, no crop, and the aesthetic score that the pipeline asks for.
        micro = [width * family.scale_factor, height * family.scale_factor, 0, 0, 6]
        self.given = {
            "encoder_hidden_states": said.hidden_states[-2],
            "pooled_text_emb": said.text_embeds,
            "micro_conds": torch.tensor([micro], device=family.device, dtype=family.dtype).expand(len(prompts), -1),
        }
        masked = parts.scheduler.config.mask_token_id
        self.tokens = torch.full((len(made.prompts), height, width), masked, device=family.device)
        self.generator = torch.Generator(family.device).manual_seed(0)

    @torch.no_grad()
    def step(self, index: int) -> Tensor:
        without, with_text = self.family.network(torch.cat([self.tokens] * 2), **self.given).chunk(2)
        logits = without + self.scale * (with_text - without)
        timestep = self.scheduler.timesteps[index]
        self.tokens = self.scheduler.step(logits, timestep, self.tokens, generator=self.generator).prev_sample
        return self.tokens

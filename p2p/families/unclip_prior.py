"""The prior of unCLIP: the embedding of a picture that a prompt's words are imagined as (Ramesh et al. 2022)."""

from typing import Any

import torch
from torch import Tensor

from p2p.sampling import noise_streams

#: Embeddings, states and which tokens there are, (prompts, ...) each.
Read = tuple[Tensor, Tensor, Tensor]


def imagined(
    prior: Any, scheduler: Any, read: Read, nothing: Read, *, steps: int, guidance_scale: float, seed: int
) -> Tensor:
    """Embeddings of pictures, (prompts, channels), guided away from no words.

    All start from the noise of one seed: a source and its edits are then apart by their words alone.

    Args:
        nothing: the empty prompt, one row.
    """
    own = type(scheduler).from_config(scheduler.config)
    own.set_timesteps(steps, device=read[0].device)
    count = len(read[0])
    embeddings, states, there = (
        torch.cat([without.expand(count, *without.shape[1:]), text])
        for without, text in zip(nothing, read, strict=True)
    )
    streams = noise_streams(seed, count)
    drawn = [torch.randn(1, prior.config.embedding_dim, generator=stream) for stream in streams]
    state = torch.cat(drawn).to(embeddings)
    for timestep in own.timesteps:
        predicted = prior(
            torch.cat([state, state]),
            timestep=timestep,
            proj_embedding=embeddings,
            encoder_hidden_states=states,
            attention_mask=there,
        ).predicted_image_embedding
        without, text = predicted.chunk(2)
        guided = without + guidance_scale * (text - without)
        state = own.step(guided, timestep, state, generator=streams).prev_sample
    return prior.post_process_latents(state)

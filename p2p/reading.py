"""Word maps of pictures that exist already: one model call, nothing edited."""

from collections.abc import Sequence

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl, Controlled, PairRows
from p2p.attention.installing import controlled
from p2p.attention.maps import AttentionMaps
from p2p.families.base import ModelFamily
from p2p.families.conditioning import Conditioning
from p2p.plan import EditPlan


@torch.no_grad()
def read_maps(family: ModelFamily, latents: Tensor, timestep: Tensor, prompts: Sequence[str]) -> Tensor:
    """Where each token acts in noised latents at one timestep.

    Args:
        latents: (pictures, channels, height, width), noised to `timestep`.
        prompts: one per picture.
    Returns:
        (pictures, tokens, map_height, map_width) float32, the mean over the layers and heads at the maps' level.
    """
    maps = AttentionMaps()
    texts = family.encode_prompts(prompts)
    plan = EditPlan.empty(1, len(prompts) - 1, texts.context.shape[1])
    rows = PairRows(0, tuple(range(1, len(prompts))))
    size = latents.shape[-2], latents.shape[-1]
    control = AttentionControl([Controlled(plan, rows, maps)], family.map_factor, size, device=family.device)
    control.at_step(0)
    unguided = Conditioning(texts, torch.ones(len(prompts)), tuple(control.prompts))
    with controlled(family.attention_layers, family.attention_processors(control)):
        family.predict(latents, timestep, unguided)
    control.end_step()
    return maps.mean()

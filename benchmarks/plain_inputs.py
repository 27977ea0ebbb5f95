"""What each pipeline's own loop gives its network: the text of guided rows, and what lies beside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

#: Context, (2 * prompts, tokens, channels), and further arguments of the network's call.
Inputs = tuple[Tensor, Mapping[str, Any]]


def _of_stable_diffusion(pipeline: Any, prompts: Sequence[str], size: tuple[int, int]) -> Inputs:
    text, negative = pipeline.encode_prompt(list(prompts), pipeline.device, 1, True, None)
    return torch.cat([negative, text]), {}


def _of_stable_diffusion_xl(pipeline: Any, prompts: Sequence[str], size: tuple[int, int]) -> Inputs:
    text, negative, pooled, negative_pooled = pipeline.encode_prompt(list(prompts), device=pipeline.device)
    sizes = torch.tensor([*size, 0, 0, *size], device=text.device, dtype=text.dtype).repeat(2 * len(prompts), 1)
    beside = {"text_embeds": torch.cat([negative_pooled, pooled]), "time_ids": sizes}
    return torch.cat([negative, text]), {"added_cond_kwargs": beside}


_INPUTS: Mapping[str, Callable[[Any, Sequence[str], tuple[int, int]], Inputs]] = {
    "StableDiffusionPipeline": _of_stable_diffusion,
    "StableDiffusionXLPipeline": _of_stable_diffusion_xl,
}


def plain_inputs(pipeline: Any, prompts: Sequence[str], size: tuple[int, int]) -> Inputs:
    """What a pipeline gives its network for prompts without a negative one.

    Args:
        size: height and width of the pictures in pixels.
    """
    return _INPUTS[type(pipeline).__name__](pipeline, prompts, size)

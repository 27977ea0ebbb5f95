"""Specs of four steps that tests ask of tiny models, and what a plain pipeline makes of their prompts."""

import torch

from p2p.sampling import noise_streams
from p2p.spec import EditSpec

OFF = {"cross_window": {"stop": 0}, "self_window": {"stop": 0}}
SWAP = {"prompt": "a dog on a beach", "edits": [{"kind": "replace"}]}
REFINE = {"prompt": "a cat on a red beach at night", "edits": [{"kind": "refine"}]}
NO_MAPS = {"artifacts": {"heatmaps": False, "raw_maps": False}}
BLEND = SWAP | {"local_blend": {"words": [{"word": "dog"}]}}


def spec(*targets: dict, steps: int = 4, guidance_scale: float = 5.0, seed: int = 1, **extra) -> EditSpec:
    sampling = {"steps": steps, "guidance_scale": guidance_scale, "seed": seed, **extra.pop("sampling", {})}
    return EditSpec.model_validate(
        {"source": {"prompt": "a cat on a beach"}, "targets": targets, "sampling": sampling, **extra}
    )


def plainly(pipeline, guidance_scale: float) -> torch.Tensor:
    """What the plain pipeline makes of the prompts of `spec(SWAP, REFINE)`, its source's first."""
    return pipeline(
        ["a cat on a beach", SWAP["prompt"], REFINE["prompt"]],
        num_inference_steps=4,
        guidance_scale=guidance_scale,
        generator=noise_streams(1, 3),
        output_type="latent",
    ).images

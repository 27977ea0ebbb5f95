"""Every family on a tiny model of its real classes: tests run over all of them by a parameter.

A new family is a row of each table.
"""

from collections.abc import Callable, Mapping
from typing import Any

from diffusers import (
    DiffusionPipeline,
    LatentConsistencyModelPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)

from p2p.families.base import ModelFamily
from p2p.families.stable_diffusion import StableDiffusion
from p2p.families.stable_diffusion_xl import StableDiffusionXL
from tests import tiny, tiny_xl

PIPELINES: Mapping[str, Callable[..., Any]] = {
    "stable_diffusion": tiny.pipeline,
    "stable_diffusion_xl": tiny_xl.pipeline,
}
_FAMILIES: Mapping[type[DiffusionPipeline], Callable[[Any], Any]] = {
    StableDiffusionPipeline: StableDiffusion,
    LatentConsistencyModelPipeline: StableDiffusion,
    StableDiffusionXLPipeline: StableDiffusionXL,
}


def of(pipeline: DiffusionPipeline) -> ModelFamily:
    """The family of a pipeline, around it."""
    return _FAMILIES[type(pipeline)](pipeline)

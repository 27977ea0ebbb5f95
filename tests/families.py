"""Every family on a tiny model of its real classes: tests run over all of them by a parameter.

A new family is a row of each table.
"""

from collections.abc import Callable, Mapping
from typing import Any

from diffusers import DiffusionPipeline, LatentConsistencyModelPipeline, StableDiffusionPipeline

from p2p.families.base import ModelFamily
from p2p.families.stable_diffusion import StableDiffusion
from tests import tiny

PIPELINES: Mapping[str, Callable[..., Any]] = {
    "stable_diffusion": tiny.pipeline,
}
_FAMILIES: Mapping[type[DiffusionPipeline], Callable[[Any], Any]] = {
    StableDiffusionPipeline: StableDiffusion,
    LatentConsistencyModelPipeline: StableDiffusion,
}


def of(pipeline: DiffusionPipeline) -> ModelFamily:
    """The family of a pipeline, around it."""
    return _FAMILIES[type(pipeline)](pipeline)

"""Families on tiny models of their real classes: tests run over all of them by a parameter.

A new family is a row of each table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from diffusers import (
    AmusedPipeline,
    DiffusionPipeline,
    Flux2KleinPipeline,
    FluxPipeline,
    IFPipeline,
    LatentConsistencyModelPipeline,
    QwenImagePipeline,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UnCLIPPipeline,
    ZImagePipeline,
)
from torch import Tensor

from p2p.families.amused import Amused
from p2p.families.base import ModelFamily
from p2p.families.conditioning import Conditioning
from p2p.families.deepfloyd_if import DeepFloydIF
from p2p.families.flux import Flux
from p2p.families.flux2_klein import Flux2Klein
from p2p.families.qwen_image import QwenImage
from p2p.families.stable_diffusion import StableDiffusion
from p2p.families.stable_diffusion_3 import StableDiffusion3
from p2p.families.stable_diffusion_xl import StableDiffusionXL
from p2p.families.unclip import UnCLIP
from p2p.families.z_image import ZImage
from tests import tiny, tiny_amused, tiny_flows, tiny_if, tiny_unclip, tiny_xl

PIPELINES: Mapping[str, Callable[..., Any]] = {
    "stable_diffusion": tiny.pipeline,
    "stable_diffusion_xl": tiny_xl.pipeline,
    "amused": tiny_amused.pipeline,
    "deepfloyd_if": tiny_if.pipeline,
    "unclip": tiny_unclip.pipeline,
    "stable_diffusion_3": tiny_flows.sd3,
    "flux": tiny_flows.flux,
    "flux2_klein": tiny_flows.klein,
    "z_image": tiny_flows.z_image,
    "qwen_image": tiny_flows.qwen_image,
}
#: What a family can do that others cannot: a test of it says so by `pytest.mark.needs`.
#: "latents": its states are numbers that noise is removed from, by any scheduler that is named.
#: "chunks": long prompts are read in several.
#: "pixels": these numbers are pixels.
#: "jobs": all that a worker does with a job is tried on it. Families of flows have one code there, so it is tried on
#: SD3, whose words have two segments, and on Z-Image, whose texts have lengths.
#: "each": what has nothing to do with the model's own code is tried on it; of flows on FLUX.1 alone.
#: "flows": words and pixels share one softmax, and noise is left along a flow, by its own scheduler alone.
#: "single files": it is opened from a file with the names of its authors' code.
ABLE: Mapping[str, frozenset[str]] = {
    "stable_diffusion": frozenset({"latents", "chunks", "single files", "jobs", "each"}),
    "stable_diffusion_xl": frozenset({"latents", "chunks", "single files", "jobs", "each"}),
    "amused": frozenset({"chunks", "jobs", "each"}),
    "deepfloyd_if": frozenset({"pixels", "jobs", "each"}),
    "unclip": frozenset({"pixels", "jobs", "each"}),
    "stable_diffusion_3": frozenset({"flows", "jobs"}),
    "flux": frozenset({"flows", "each"}),
    "flux2_klein": frozenset({"flows"}),
    "z_image": frozenset({"flows", "jobs"}),
    "qwen_image": frozenset({"flows"}),
}
_FAMILIES: Mapping[type[DiffusionPipeline], Callable[[Any], Any]] = {
    StableDiffusionPipeline: StableDiffusion,
    LatentConsistencyModelPipeline: StableDiffusion,
    StableDiffusionXLPipeline: StableDiffusionXL,
    AmusedPipeline: Amused,
    IFPipeline: DeepFloydIF,
    UnCLIPPipeline: UnCLIP,
    StableDiffusion3Pipeline: StableDiffusion3,
    FluxPipeline: Flux,
    Flux2KleinPipeline: Flux2Klein,
    ZImagePipeline: ZImage,
    QwenImagePipeline: QwenImage,
}


@dataclass(frozen=True)
class Bounds:
    """What is stated of a family's tiny model, where the families differ.

    Attributes:
        negative_prompt: how far an empty plan with a negative prompt may be from the plain pipeline, of its size.
        null_text, null_text_half: the part of what DDIM misses that null-text inversion leaves, in ten iterations a
            step and in four of half precision.
    """

    negative_prompt: float
    null_text: float
    null_text_half: float


BOUNDS: Mapping[str, Bounds] = {
    "StableDiffusion": Bounds(negative_prompt=0, null_text=0.75, null_text_half=0.9),  # 0, 0.65
    # The pipeline encodes the negative prompt once for each prompt, we once: the projection of a text beside another
    # is rounded otherwise, by 1e-7. Null-text starts from zeros and reaches the context alone: 0.89, 0.94 and 0.96.
    "StableDiffusionXL": Bounds(negative_prompt=2e-6, null_text=0.92, null_text_half=0.98),
}


def able(*what: str) -> list[str]:
    """The families that can do all of this, by their names."""
    return [name for name in PIPELINES if ABLE[name].issuperset(what)]


def bounds_of(family: ModelFamily) -> Bounds:
    """Those of a family."""
    return BOUNDS[type(family).__name__]


def of(pipeline: DiffusionPipeline) -> ModelFamily:
    """The family of a pipeline, around it."""
    return _FAMILIES[type(pipeline)](pipeline)


def processors_of(family: ModelFamily) -> dict[str, Any]:
    """What computes each of its attention layers now."""
    return {name: layer.processor for name, layer in family.attention_layers.items()}


class _Counting:
    """A family that counts the rows that go through its network."""

    rows = 0

    def __init__(self, *given: Any, **further: Any) -> None:
        super().__init__(*given, **further)
        self.by_step: list[int] = []

    def predict(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        self.rows += len(conditioning.prompts)
        self.by_step.append(len(conditioning.prompts))
        return super().predict(latents, timestep, conditioning)  # type: ignore[misc]


def counted(pipeline: DiffusionPipeline) -> Any:
    """The family of a pipeline, which counts in `rows`, and `by_step`, what goes through its network."""
    return type("Counted", (_Counting, _FAMILIES[type(pipeline)]), {})(pipeline)  # type: ignore[arg-type]

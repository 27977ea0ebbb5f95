"""Model families by the name a model's declaration gives. A new one is a file beside this and a row of `FAMILIES`.

What it handles is a row of `p2p.layouts.LAYOUTS`.
"""

from collections.abc import Callable, Mapping

import torch

from p2p.errors import UnsupportedModel
from p2p.families.amused import Amused
from p2p.families.base import ModelFamily
from p2p.families.deepfloyd_if import DeepFloydIF
from p2p.families.flux import Flux
from p2p.families.flux2_klein import Flux2Klein
from p2p.families.qwen_image import QwenImage
from p2p.families.stable_diffusion import StableDiffusion
from p2p.families.stable_diffusion_3 import StableDiffusion3
from p2p.families.stable_diffusion_xl import StableDiffusionXL
from p2p.families.unclip import UnCLIP
from p2p.families.z_image import ZImage
from p2p.layouts.model_files import ModelFiles
from p2p.spec import SchedulerName

FAMILIES: Mapping[str, Callable[..., ModelFamily]] = {
    "stable_diffusion": StableDiffusion.load,
    "stable_diffusion_xl": StableDiffusionXL.load,
    "amused": Amused.load,
    "deepfloyd_if": DeepFloydIF.load,
    "unclip": UnCLIP.load,
    "stable_diffusion_3": StableDiffusion3.load,
    "flux": Flux.load,
    "flux2_klein": Flux2Klein.load,
    "z_image": ZImage.load,
    "qwen_image": QwenImage.load,
}


def load(
    family: str,
    path: str | ModelFiles,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    scheduler: SchedulerName | None = None,
) -> ModelFamily:
    """A model's weights, loaded and ready.

    Args:
        path: a diffusers directory or hub id, or all files of a model (`p2p.layouts.model_files`).
        revision: of a hub id that is given as a string.
        scheduler: runs in the place of the model's own.
    Raises:
        UnsupportedModel: no such family, or the family does not handle a part of the model, which the message names.
    """
    if family not in FAMILIES:
        raise UnsupportedModel(f"{family!r} is not a model family: use one of {', '.join(FAMILIES)}")
    return FAMILIES[family](path, revision=revision, device=device, dtype=dtype, scheduler=scheduler)

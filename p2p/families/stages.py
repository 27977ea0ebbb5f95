"""Further models that make pictures larger, by their pipelines. A new one is a file beside this and a row of `STAGES`.

What it handles is a row of the `stages` of a layout.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from p2p.families.if_stage import IFStage
from p2p.families.super_resolution import Stage
from p2p.families.upscaler_stage import UpscalerStage
from p2p.layouts.base import PIPELINE, Layout
from p2p.layouts.checks import chosen_variant, described
from p2p.layouts.enlarging import stage_of
from p2p.layouts.files import parts_of
from p2p.layouts.model_files import ModelFiles

STAGES: Mapping[str, Callable[..., Stage]] = {
    "IFSuperResolutionPipeline": IFStage.load,
    "StableDiffusionUpscalePipeline": UpscalerStage.load,
}


def load_stage(layout: Layout, path: str, side: int, *, device: str, dtype: torch.dtype) -> Stage:
    """The further model of a folder that nothing is wrong with (`p2p.layouts.enlarging.wrong_stages`).

    Args:
        layout: of the model whose pictures it makes larger.
        side: of the pictures that the model before it was trained on.
    """
    files, parts = ModelFiles(path), parts_of(Path(path))
    stage = stage_of(layout, parts)
    variant = chosen_variant(stage, files, described(stage, files))
    (kind,) = parts[PIPELINE].kinds
    return STAGES[kind](path, side, variant=variant, device=device, dtype=dtype)

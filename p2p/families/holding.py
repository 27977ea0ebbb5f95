"""Large models, by diffusers' means: networks that wait in main memory until they are needed, weights of eight bits.

Attention processors come and go as in any other model: neither touches them.
"""

from importlib.util import find_spec
from typing import Any

import torch

from p2p.errors import UnsupportedModel
from p2p.layouts.base import Layout
from p2p.layouts.model_files import ModelFiles


def require_means(files: ModelFiles, device: str) -> None:
    """Refuses what this machine cannot do, before any weights are read.

    Raises:
        UnsupportedModel: the device is the main memory's own, or the package is missing that quantises.
    """
    if files.offload is not None and torch.device(device).type == "cpu":
        raise UnsupportedModel(
            "`offload` keeps networks in main memory until a GPU needs them, and this worker computes on the CPU: "
            "take `offload` out, or start the worker on a GPU"
        )
    if files.quantize is not None and find_spec("torchao") is None:
        raise UnsupportedModel("`quantize` is set, and torchao is not installed: pip install torchao")


def quantised(files: ModelFiles, layout: Layout) -> dict[str, Any]:
    """What `from_pretrained` gets so that the large network's weights have eight bits; nothing if they keep theirs.

    Layers compute in the model's precision: int8 weights are multiplied out as they are needed (weight-only).
    """
    if files.quantize is None:
        return {}
    from diffusers import PipelineQuantizationConfig, TorchAoConfig  # imports torchao, which is an extra
    from torchao.quantization import Int8WeightOnlyConfig

    mapping = {layout.quantized: TorchAoConfig(Int8WeightOnlyConfig())}
    return {"quantization_config": PipelineQuantizationConfig(quant_mapping=mapping)}

"""LoRA files as people have them, for tiny models: diffusers' own layout, kohya's, and those of other families."""

from pathlib import Path

import torch
from diffusers import DiffusionPipeline, StableDiffusionXLPipeline
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from tests.single_file import unet_name

RANK = 4
#: The layers that trainers adapt by themselves.
TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]
TEXT = ["q_proj", "k_proj", "v_proj", "out_proj"]
#: Those that kohya's adapt besides: convolutions among them, where a model's projections are some.
MORE, MORE_TEXT = ["proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"], ["fc1", "fc2"]


def trained(
    pipeline: DiffusionPipeline, *, seed: int = 1, scale: float = 0.1, text: bool = True, more: bool = False
) -> dict[str, Tensor]:
    """Adapters as if they had been trained, in diffusers' layout; the pipeline is not changed for good.

    Args:
        text: whether the text encoders are adapted as well.
        more: whether layers besides the attention's are; then under peft's own names, as diffusers has none for them.
    """
    torch.manual_seed(seed)
    made: dict[str, Tensor] = {}
    encoders = [name for name in ("text_encoder", "text_encoder_2") if getattr(pipeline, name, None)]
    parts = {"unet": TARGETS + MORE * more} | (dict.fromkeys(encoders, TEXT + MORE_TEXT * more) if text else {})
    for part, targets in parts.items():
        network = getattr(pipeline, part)
        network.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets), "made")
        state = get_peft_model_state_dict(network, adapter_name="made")
        state = state if more else convert_state_dict_to_diffusers(state)
        # peft begins with adapters that change nothing.
        made |= {f"{part}.{name}": torch.randn(weight.shape) * scale for name, weight in state.items()}
    pipeline.unload_lora_weights()
    return {name: weight.contiguous() for name, weight in made.items()}


def saved(file: Path, state: dict[str, Tensor]) -> Path:
    """The state in a safetensors file."""
    save_file(state, file)
    return file


def as_kohya(pipeline: DiffusionPipeline, state: dict[str, Tensor], alpha: float = RANK) -> dict[str, Tensor]:
    """Adapters of `trained` as kohya's scripts write them: names in one piece, and an alpha a layer.

    Those of SDXL have the names of Stability's code for the network, and two text encoders.

    Args:
        alpha: divided by the rank, what their change is multiplied with.
    """
    is_xl = isinstance(pipeline, StableDiffusionXLPipeline)
    prefixes = {"unet": "lora_unet", "text_encoder": "lora_te1" if is_xl else "lora_te", "text_encoder_2": "lora_te2"}
    made = {}
    for name, weight in state.items():
        part, _, layer = name.partition(".")
        layer, _, end = layer.rpartition(".lora")
        first = "down" if any(end.endswith(each) for each in ("_A.weight", ".down.weight")) else "up"
        layer = layer.removesuffix(".")
        if part == "unet" and is_xl:
            layer = unet_name(f"{layer}.weight", pipeline.unet.config.layers_per_block).removesuffix(".weight")
        if part != "unet" and not layer.startswith("text_model"):
            layer = f"text_model.{layer}"
        key = f"{prefixes[part]}_{layer.replace('.', '_')}"
        made[f"{key}.lora_{first}.weight"] = weight
        made[f"{key}.alpha"] = torch.tensor(float(alpha))
    return made

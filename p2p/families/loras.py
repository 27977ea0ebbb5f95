"""Fuses LoRAs into a pipeline's weights (Hu et al. 2022): afterwards they cost nothing, and nothing shows them."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from p2p.errors import UnsupportedModel
from p2p.layouts.loras import layers
from p2p.layouts.model_files import LoraFile

_NAME = "fused"


def require_peft(loras: Sequence[LoraFile]) -> None:
    """Refuses LoRAs if the package is missing by which diffusers reads them; raises `UnsupportedModel`."""
    if loras and find_spec("peft") is None:
        raise UnsupportedModel(f"{loras[0].path} is a LoRA, and peft is not installed: pip install peft")


def fuse(pipeline: Any, lora: LoraFile) -> None:
    """Adds a LoRA's change, times its weight, to a pipeline's weights, in the precision that they have.

    Raises:
        UnsupportedModel: the LoRA is another model's.
    """
    file = Path(lora.path)
    wanted = layers(file)
    try:
        # By its place, not as tensors: the file's header may hold the alphas. A folder and a name are no hub id.
        pipeline.load_lora_weights(
            str(file.parent), weight_name=file.name, use_safetensors=True, local_files_only=True, adapter_name=_NAME
        )
    except (ValueError, RuntimeError, LookupError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UnsupportedModel(f"{lora.path} is not a LoRA of this model: {reason}") from error
    # diffusers passes over layers that the model does not have, and says so in its log at most.
    found = sum(_is_adapted(module) for part in _networks(pipeline) for module in part.modules())
    if found != wanted:
        pipeline.unload_lora_weights()
        raise UnsupportedModel(
            f"{lora.path} changes {wanted} layers, and this model has {found} of them: name a LoRA of this model's "
            "family"
        )
    pipeline.set_adapters([_NAME], [lora.weight])
    pipeline.fuse_lora(components=[name for name, part in _named(pipeline) if _has_adapters(part)])
    pipeline.unload_lora_weights()


def _named(pipeline: Any) -> list[tuple[str, Any]]:
    return [
        (name, getattr(pipeline, name)) for name in pipeline._lora_loadable_modules if getattr(pipeline, name, None)
    ]


def _networks(pipeline: Any) -> list[Any]:
    return [part for _, part in _named(pipeline)]


def _has_adapters(part: Any) -> bool:
    return any(_is_adapted(module) for module in part.modules())


def _is_adapted(module: Any) -> bool:
    return _NAME in (getattr(module, "lora_A", None) or ())

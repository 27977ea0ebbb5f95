"""Puts LoRAs beside a pipeline's weights, or fuses them into these (Hu et al. 2022).

Fused they cost nothing, and nothing shows them; beside the weights they can be taken away again.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    put_beside(pipeline, lora.path, _NAME)
    pipeline.set_adapters([_NAME], [lora.weight])
    pipeline.fuse_lora(components=[name for name, part in _named(pipeline) if _adapted(part, _NAME)])
    pipeline.unload_lora_weights()


def put_beside(pipeline: Any, path: str, name: str) -> None:
    """Loads a LoRA's layers beside those that they change, as the adapter `name`.

    Raises:
        UnsupportedModel: the LoRA is another model's.
    """
    file = Path(path)
    wanted = layers(file)
    try:
        with warnings.catch_warnings(), _quiet():
            # Several adapters are what several LoRAs are: "Make sure to know what you are doing!"
            warnings.filterwarnings("ignore", "Already found a `peft_config`")
            # By its place, not as tensors: the file's header may hold the alphas. A folder and a name are no hub id.
            pipeline.load_lora_weights(
                str(file.parent), weight_name=file.name, use_safetensors=True, local_files_only=True, adapter_name=name
            )
    except (ValueError, RuntimeError, LookupError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UnsupportedModel(f"{path} is not a LoRA of this model: {reason}") from error
    # diffusers passes over layers that the model does not have, and says so in its log at most.
    found = sum(_adapted(part, name) for part in networks(pipeline))
    if found != wanted:
        pipeline.unload_lora_weights()
        raise UnsupportedModel(
            f"{path} changes {wanted} layers, and this model has {found} of them: name a LoRA of this model's family"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without diffusers' warning of each part that a LoRA leaves as it is: what is missing is counted here."""
    log = logging.getLogger("diffusers.loaders.lora_base")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def networks(pipeline: Any) -> list[Any]:
    """The parts of a pipeline that LoRAs may change."""
    return [part for _, part in _named(pipeline)]


def _named(pipeline: Any) -> list[tuple[str, Any]]:
    return [
        (name, getattr(pipeline, name)) for name in pipeline._lora_loadable_modules if getattr(pipeline, name, None)
    ]


def _adapted(part: Any, name: str) -> int:
    """How many layers of a part have the adapter."""
    return sum(name in (getattr(module, "lora_A", None) or ()) for module in part.modules())

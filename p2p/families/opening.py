"""Opens a pipeline from a model's files: weights, scheduler, LoRAs and learned words, before a family is made of it.

LoRAs are fused before anything is packed, and before the family freezes the weights (`p2p.families.packed`).
"""

from pathlib import Path
from typing import Any

import torch

from p2p.errors import UnsupportedModel
from p2p.families.holding import quantised, require_means
from p2p.families.learned import learn_words
from p2p.families.loras import fuse, require_peft
from p2p.families.source import Source
from p2p.layouts import LAYOUTS
from p2p.layouts.header import shapes


def opened(kind: Any, family: str, source: Source, *, device: str, dtype: torch.dtype, **options: Any) -> Any:
    """A pipeline, loaded and on its device; safetensors only, never a pickle.

    Args:
        kind: the pipeline's class.
        family: its row of `LAYOUTS`.
        options: of the pipeline's class.
    Raises:
        UnsupportedModel: the weights, a LoRA or a textual inversion are another model's.
    """
    require_peft(source.files.loras)
    require_means(source.files, device)
    unused = dict.fromkeys(LAYOUTS[family].unused)
    how = {"dtype": dtype, **options, **unused, **quantised(source.files, LAYOUTS[family])}
    if source.config is None:
        pipeline = kind.from_pretrained(source.files.path, **source.arguments, **how)
        if source.scheduler is not None:
            pipeline.register_modules(scheduler=source.scheduler)
    else:
        pipeline = _from_single_file(kind, family, source, how)
    if source.files.offload is None:  # else LoRAs are fused in main memory
        pipeline = pipeline.to(device)
    for lora in source.files.loras:
        fuse(pipeline, lora)
    learn_words(pipeline, source.files.embeddings, LAYOUTS[family])
    if source.files.offload is not None:
        pipeline.enable_model_cpu_offload(device=device)
    return pipeline


def _from_single_file(kind: Any, family: str, source: Source, how: dict[str, Any]) -> Any:
    """The pipeline of a single file. Its configurations are in a folder: diffusers fetches them where they are not."""
    given = {} if source.scheduler is None else {"scheduler": source.scheduler}
    path = source.files.path
    try:
        pipeline = kind.from_single_file(path, config=source.config, local_files_only=True, **given, **how)
    except (ValueError, RuntimeError, KeyError) as error:
        # diffusers makes the networks without memory, and those weights that it does not find stay so.
        reason = "it lacks weights" if "meta tensor" in str(error) else " ".join(str(error).split())[:300]
        raise UnsupportedModel(f"{path} is not of the model that `config` describes: {reason}") from error
    # The same of text encoders, of which it makes no error.
    if lacking := [name for name, part in pipeline.components.items() if _lacks_weights(part)]:
        raise UnsupportedModel(
            f"{path} is not of the model that `config` describes: it lacks weights of its {' and '.join(lacking)}"
        )
    # diffusers passes over what it has no place for; the names differ from its own, and their number does not.
    checkpoint = LAYOUTS[family].checkpoint
    held = sum(name.startswith(checkpoint.network) for name in shapes(Path(path))) if checkpoint else 0
    described = len(pipeline.unet.state_dict())
    if held != described:
        raise UnsupportedModel(
            f"{path} has {held} weights of a unet, and `config` describes one of {described}: set `config` to the "
            "configurations of this file's model"
        )
    return pipeline


def _lacks_weights(part: Any) -> bool:
    return isinstance(part, torch.nn.Module) and any(weight.is_meta for weight in part.parameters())

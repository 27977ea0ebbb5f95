"""A model in one safetensors file, as civitai and Automatic1111 have them: whether it is of the layout that is wanted.

Such a file has the names of CompVis's code, and no configuration. So a diffusers directory without weights says what
it should hold, and the file's header says what it holds. Nothing else of it is read, and torch is not needed.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from p2p.layouts.base import Checkpoint, Layout, Parts, Trouble, value_of
from p2p.layouts.header import damage, shapes

SUFFIX = ".safetensors"

_XL = "conditioner.embedders.1."
#: What other files are, by a piece of their tensors' names, or by how one begins (^); the first that fits.
_OTHERS: Mapping[str, str] = {
    "lora_up.": "a LoRA: name it in `loras`",
    "lora_A.": "a LoRA: name it in `loras`",
    ".lora.up.": "a LoRA: name it in `loras`",
    "emb_params": "a textual inversion: name it in `embeddings`",
    "^clip_l": "a textual inversion: name it in `embeddings`",
    _XL: "an SDXL model (the family stable_diffusion_xl)",
    "conditioner.embedders.0.model.": "SDXL's refiner",
    "joint_blocks.": "a Stable Diffusion 3 model",
    "double_blocks.": "a FLUX model",
    "motion_modules.": "AnimateDiff's motion",
    "input_hint_block": "a ControlNet",
    "control_model.": "a ControlNet",
    "cond_stage_model.transformer.": "a Stable Diffusion 1.x model (the family stable_diffusion)",
    "cond_stage_model.model.": "a Stable Diffusion 2.x model (the family stable_diffusion)",
    "^down_blocks.": "one part of a diffusers directory",
    "^text_model.": "a text encoder alone",
}

#: Tensors by which authors say what the network was trained to predict: the scheduler's key, its value, and the value
#: where nobody says. ComfyUI reads the same ones (comfy/supported_models.py, `SDXL.model_type`).
_TRAINED: Mapping[str, tuple[str, Any, Any]] = {
    "v_pred": ("prediction_type", "v_prediction", "epsilon"),
    "ztsnr": ("rescale_betas_zero_snr", True, False),
}
#: The same for what no scheduler here goes with.
_TRAINED_OTHERWISE = ("edm_mean", "edm_vpred.sigma_max")


def troubles(file: Path, layout: Layout, family: str, parts: Parts) -> Iterator[Trouble]:
    """What keeps a single file from being loaded with the configurations of `parts`."""
    if trouble := unreadable(file, "single file"):
        yield trouble
        return
    found, wanted = shapes(file), layout.checkpoint
    if wanted is None:
        yield Trouble(f"{family} has no single files", "set `path` to a diffusers directory, and take `config` out")
        return
    missing = [part for part, names in wanted.parts.items() if not any(name in found for name in names)]
    if missing:
        other = _other(found, wanted)
        what = f"is {other}" if other else f"holds no {' and no '.join(missing)}"
        yield Trouble(
            f"{file} {what}, and {family} needs {_listed(wanted.parts)}", "set `path` to a file with all of it"
        )
        return
    for begin, end, axis, path in wanted.sides:
        tensor = next((name for name in found if name.startswith(begin) and name.endswith(end)), None)
        expected = value_of(parts, path)
        if tensor is None or expected is None or len(found[tensor]) <= axis or found[tensor][axis] == expected:
            continue
        part, key = path.split(".")
        hint = layout.hints.get((path, found[tensor][axis]))
        yield Trouble(
            f"{file} has {key} {found[tensor][axis]}{f' ({hint})' if hint else ''} in its {part}, and `config` says "
            f"{expected}",
            "set `config` to the configurations of this file's model, or `path` to another file",
        )
    yield from _trained_otherwise(file, found, parts)


def _other(found: Iterable[str], wanted: Checkpoint) -> str | None:
    """What a file is that is none of a family's."""
    pieces = {piece: name for piece, name in _OTHERS.items() if piece not in wanted.own}
    return next((name for piece, name in pieces.items() if any(_fits(piece, tensor) for tensor in found)), None)


def _trained_otherwise(file: Path, found: Iterable[str], parts: Parts) -> Iterator[Trouble]:
    """Where the file says that its network predicts something else than the scheduler takes it for."""
    if said := next((name for name in _TRAINED_OTHERWISE if name in found), None):
        yield Trouble(f"{file} was trained for the noise of EDM ({said}), and none of its schedulers is here", _ANOTHER)
        return
    for name, (key, value, absent) in _TRAINED.items():
        config = value_of(parts, f"scheduler.{key}")
        config = absent if config is None else config
        if name in found and "scheduler" in parts and config != value:
            shown = json.dumps(value)
            yield Trouble(
                f"{file} was trained with {key} {shown} (it has a tensor {name}), and `config` says "
                f"{json.dumps(config)}",
                f'set "{key}": {shown} in scheduler/scheduler_config.json of `config`',
            )


_ANOTHER = "set `path` to another file"


def _fits(piece: str, tensor: str) -> bool:
    return tensor.startswith(piece[1:]) if piece.startswith("^") else piece in tensor


def pipeline_of(file: Path) -> str:
    """diffusers' class that reads a single file, by its header; that of Stable Diffusion if there is none to read."""
    try:
        is_xl = file.suffix == SUFFIX and damage(file) is None and any(_fits(_XL, name) for name in shapes(file))
    except OSError:
        is_xl = False
    return "StableDiffusionXLPipeline" if is_xl else "StableDiffusionPipeline"


def unreadable(file: Path, what: str) -> Trouble | None:
    """What keeps a safetensors file's header from being read.

    Args:
        what: that the file should be, as messages call it.
    """
    if not file.is_file():
        missing = "is a folder" if file.is_dir() else "is not there"
        return Trouble(f"{file} {missing}, and a {what} is wanted", "correct `path`")
    if file.suffix != SUFFIX:  # not in capitals either: diffusers takes such a file for a pickle
        return Trouble(
            f"{file} is no {SUFFIX} file, and other formats may run code and are never loaded",
            f"fetch this {what} as {SUFFIX}, or convert it",
        )
    try:
        wrong = damage(file)
    except OSError as error:
        return Trouble(f"{file} cannot be read ({error.strerror})", "let this user read it")
    return Trouble(f"{file} is damaged ({wrong})", "fetch this file again") if wrong else None


def _listed(parts: Mapping[str, Sequence[str]]) -> str:
    names = list(parts)
    return f"{', '.join(names[:-1])} and {names[-1]} in it"

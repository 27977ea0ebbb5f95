"""A model in one safetensors file, as civitai and Automatic1111 have them: whether it is of the layout that is wanted.

Such a file has the names of CompVis's code, and no configuration. So a diffusers directory without weights says what
it should hold, and the file's header says what it holds. Nothing else of it is read, and torch is not needed.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from p2p.layouts.base import Layout, Parts, Trouble, value_of
from p2p.layouts.header import damage, shapes

SUFFIX = ".safetensors"

#: What other files are, by a piece of their tensors' names, or by how one begins (^); the first that fits.
_OTHERS: Mapping[str, str] = {
    "lora_up.": "a LoRA: name it in `loras`",
    "lora_A.": "a LoRA: name it in `loras`",
    ".lora.up.": "a LoRA: name it in `loras`",
    "emb_params": "a textual inversion: name it in `embeddings`",
    "conditioner.embedders.1.": "an SDXL model",
    "conditioner.embedders.0.model.": "SDXL's refiner",
    "joint_blocks.": "a Stable Diffusion 3 model",
    "double_blocks.": "a FLUX model",
    "motion_modules.": "AnimateDiff's motion",
    "input_hint_block": "a ControlNet",
    "control_model.": "a ControlNet",
    "^down_blocks.": "one part of a diffusers directory",
    "^text_model.": "a text encoder alone",
}


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
    other = next((name for piece, name in _OTHERS.items() if any(_fits(piece, tensor) for tensor in found)), None)
    if missing:
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


def _fits(piece: str, tensor: str) -> bool:
    return tensor.startswith(piece[1:]) if piece.startswith("^") else piece in tensor


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

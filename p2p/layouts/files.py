"""A model's files, read without its weights: what its parts are, and where a hub id's files lie."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from p2p.errors import UnsupportedModel
from p2p.layouts.base import PIPELINE, Part, Parts, Trouble
from p2p.layouts.model_files import ModelFiles
from p2p.layouts.single_file import pipeline_of

INDEX = "model_index.json"
#: What a part's configuration is called, where it is not config.json.
_CONFIGS = ("config.json", "scheduler_config.json", "tokenizer_config.json", "preprocessor_config.json")
#: How a checkpoint's name ends, where it has an end.
_CHECKPOINTS = ("", ".safetensors", ".ckpt", ".pt", ".pth", ".bin")
#: Everything but the weights: a few megabytes at most.
SMALL_FILES = ("*.json", "*.txt", "*.model")


def single_file(path: Path) -> Trouble | None:
    """What to do where a model is one file, as civitai and Automatic1111 have them; None if it is not."""
    if not path.is_file():
        return None
    if path.suffix.lower() not in _CHECKPOINTS:
        return Trouble(f"{path} is a file, and only diffusers directories are loaded", "set `path` to one")
    folder = path.with_suffix("")
    return Trouble(
        f"{path} is a single-file checkpoint, which has no configuration in it",
        "set `config` to a folder with the configurations and the tokenizer of its model (hf download OWNER/NAME "
        '--include "*.json" "*.txt" --local-dir FOLDER), or convert it and set `path` to the new directory: '
        f"{converted_from_file(path, folder)}",
    )


def inside(path: Path) -> Trouble | None:
    """What to do where a path names a part of a diffusers directory, or a file of it; None if it does not."""
    if not path.exists() or (path / INDEX).is_file():
        return None
    above, next_above = path.parent, path.parent.parent
    if (above / INDEX).is_file():
        whole = above
    elif path.is_file() and (next_above / INDEX).is_file() and above.name in _json(next_above / INDEX):
        whole = next_above
    else:
        return None
    return Trouble(f"{path} is only a part of a diffusers directory", f"name the folder above: {whole}")


def converted_from_file(path: Path, folder: Path) -> str:
    """The command that makes a diffusers directory of a single-file checkpoint; it fetches configurations."""
    made = f"P.from_single_file({str(path)!r}).save_pretrained({str(folder)!r})"
    return f'python -c "from diffusers import {pipeline_of(path)} as P; {made}"'


def misplaced(files: ModelFiles) -> Trouble | None:
    """What about a model's files contradicts itself; None if nothing does."""
    path = Path(files.path)
    if files.config is None:
        return None
    if path.is_dir():
        return Trouble(f"{path} is a folder, and `config` is for single files", "take `config` out")
    if files.variant is not None:
        return Trouble(f"{path} is a single file, and `variant` is for diffusers directories", "take `variant` out")
    if files.revision is None and not (Path(files.config) / INDEX).is_file():
        return Trouble(
            f"{files.config}, which `config` names, has no {INDEX}",
            "set `config` to a diffusers directory of the same kind of model; its weights are not needed",
        )
    return None


def parts_of(folder: Path) -> Parts:
    """The parts that a diffusers directory names, with their configurations.

    Raises:
        UnsupportedModel: it is no such directory, or a file of it cannot be read.
    """
    if trouble := inside(folder) or single_file(folder):
        raise UnsupportedModel(str(trouble))
    if not folder.is_dir():
        raise UnsupportedModel(
            f"{folder} is not there: correct `path`, or, where it is a hub id, say at which `revision` (a commit)"
        )
    if not (folder / INDEX).is_file():
        alone = next((file for file in sorted(folder.iterdir()) if file.suffix in (".safetensors", ".ckpt")), folder)
        if trouble := single_file(alone):
            raise UnsupportedModel(str(trouble))
        raise UnsupportedModel(f"{folder} has no {INDEX}: set `path` to a diffusers directory")
    index = _json(folder / INDEX)
    parts = {PIPELINE: Part((str(index.get("_class_name")),))}
    for part, (_, kind) in _named(index):
        parts[part] = Part((kind,), _config(folder / part))
    return parts


def _named(index: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    for part, said in index.items():
        if isinstance(said, list) and len(said) == 2 and isinstance(said[1], str):
            yield part, (str(said[0]), said[1])


def _config(folder: Path) -> Mapping[str, Any]:
    return next((_json(folder / name) for name in _CONFIGS if (folder / name).is_file()), {})


def _json(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnsupportedModel(f"{file} cannot be read as JSON: fetch it again ({error})") from error
    if not isinstance(found, dict):
        raise UnsupportedModel(f"{file} holds no JSON object: fetch it again")
    return found

"""Which of a model's weight files are loaded, by their names: safetensors of one variant. Each must be whole."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from p2p.layouts.base import Layout, Parts, Trouble
from p2p.layouts.header import damage

#: "diffusion_pytorch_model.fp16-00001-of-00002.safetensors" and all shorter forms; older shards have the variant last.
_WEIGHTS = re.compile(
    r"(?:diffusion_pytorch_model|pytorch_model|model|flax_model|tf_model)"
    r"(?:\.(?P<variant>\w+))?(?:-\d{5}-of-\d{5})?(?:\.(?P<old_variant>\w+))?\.(?P<format>safetensors|bin|ckpt|pt)"
)
#: "diffusion_pytorch_model.safetensors.index.fp16.json": which shards there are.
_INDEX = re.compile(r"(?:diffusion_pytorch_model|model)\.safetensors\.index(?:\.(?P<variant>\w+))?\.json")
_WITHOUT_WEIGHTS = (
    "model_index", "tokenizer", "tokenizer_2", "tokenizer_3", "feature_extractor",
    "scheduler", "low_res_scheduler", "image_noising_scheduler",
    "prior_scheduler", "decoder_scheduler", "super_res_scheduler",
)  # fmt: skip
#: The first bytes of what `git clone` leaves in a large file's place where Git LFS is not installed.
_LFS = b"version https://git-lfs"


def weighted(layout: Layout, parts: Parts) -> Sequence[str]:
    """The parts of a model that have weights and are loaded."""
    return [part for part in parts if part in layout.kinds and part not in _WITHOUT_WEIGHTS]


def variants_by_part(names: Sequence[str], parts: Sequence[str]) -> Mapping[str, set[str | None]]:
    """Per part, the variants of which it has safetensors; None stands for the plain files.

    Args:
        names: paths in the model's directory.
    """
    found: dict[str, set[str | None]] = {part: set() for part in parts}
    for name in names:
        part, _, file = name.rpartition("/")
        if part in found and (said := _WEIGHTS.fullmatch(file)) and said["format"] == "safetensors":
            found[part].add(said["variant"] or said["old_variant"])
    return found


def variant_of(names: Sequence[str], parts: Sequence[str], wanted: str | None = None) -> str | None:
    """The variant to load: the wanted one, none if all parts have plain files, else the one that all parts have."""
    if wanted is not None:
        return wanted
    found = variants_by_part(names, parts)
    if all(None in variants for variants in found.values()):
        return None
    whole = {variant for variants in found.values() for variant in variants if variant is not None}
    fitting = sorted(v for v in whole if all({v, None} & variants for variants in found.values()))
    # float16 where there is a choice: what is loaded is cast to the worker's precision anyway.
    return "fp16" if "fp16" in fitting else next(iter(fitting), None)


def variant_missing(
    where: Path | str, names: Sequence[str], parts: Sequence[str], wanted: str | None
) -> Iterator[Trouble]:
    """What keeps a variant that is wanted from being loaded: a part has neither it nor plain files, or none has it."""
    found = variants_by_part(names, parts)
    if wanted is None or not any(found.values()):
        return  # without any weights, that is what is said
    lacking = [part for part, variants in found.items() if wanted not in variants]
    whole = sorted({v or "plain" for v in set().union(*found.values()) if all({v, None} & of for of in found.values())})
    if len(lacking) == len(found) or any(None not in found[part] for part in lacking):
        has = f"has {' and '.join(whole)} ones" if whole else "has none of one variant for all parts"
        others = [name for name in whole if name != "plain"]
        mend = f"set `variant` to {' or '.join(others)}, or leave it out" if others else "leave `variant` out"
        yield Trouble(f"{where} has no weights of the variant {wanted} of {' and '.join(lacking)}, and {has}", mend)


def troubles(folder: Path, parts: Sequence[str], wanted: str | None = None) -> Iterator[Trouble]:
    """What keeps the weights of a directory's parts from being loaded.

    Args:
        wanted: the variant that is to be loaded.
    """
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    found = variants_by_part(names, parts)
    if missing := list(variant_missing(folder, names, parts, wanted)):
        yield from missing
        return
    variant = variant_of(names, parts, wanted)
    pickled = [name for part in found if not found[part] for name in _pickles(part, names)]
    if pickled:
        what = f"{' and '.join(pickled)} of {folder} are pickles, which may run code and are never loaded"
        yield Trouble(what, f"convert them, in their place: {converted(folder)}")
    for part, variants in found.items():
        if not variants and not _pickles(part, names):
            yield Trouble(f"{folder / part} has no weights", _AGAIN)
        elif variants and not {variant, None} & variants:
            others = ", ".join(sorted(v or "plain" for v in variants))
            yield Trouble(f"{folder / part} has weights of another variant than the other parts ({others})", _AGAIN)
    for name in names:
        part, _, file = name.rpartition("/")
        if part not in found:
            continue
        chosen = variant if variant in found[part] else None
        # Files that are not loaded may be missing: a download of one variant brings the other variants' indexes too.
        if (index := _INDEX.fullmatch(file)) and index["variant"] == chosen:
            yield from _missing_shards(folder / name)
        elif chosen in variants_by_part([name], [part])[part]:
            yield from _damaged(folder, folder / name)


_AGAIN = "fetch the model again, whole"


def _pickles(part: str, names: Sequence[str]) -> Sequence[str]:
    return [name for name in names if name.startswith(f"{part}/") and name.endswith((".bin", ".ckpt", ".pt"))]


def converted(folder: Path) -> str:
    """The command that writes safetensors beside a directory's pickles; it reads weights alone, never code."""
    load = f"P.from_pretrained({str(folder)!r}, safety_checker=None, feature_extractor=None)"
    return f'python -c "from diffusers import DiffusionPipeline as P; {load}.save_pretrained({str(folder)!r})"'


def _missing_shards(index: Path) -> Iterator[Trouble]:
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        yield Trouble(f"{index} is no index of shards", _AGAIN)
        return
    if missing := sorted(name for name in shards if not (index.parent / name).is_file()):
        yield Trouble(f"{index.parent} lacks {len(missing)} of {len(shards)} shards, {missing[0]} first", _AGAIN)


def _damaged(folder: Path, file: Path) -> Iterator[Trouble]:
    try:
        if _is_pointer(file):
            yield Trouble(f"{file} is a Git LFS pointer and no weights", f"git -C {folder} lfs pull")
        elif what := damage(file):
            yield Trouble(f"{file} is damaged ({what})", "fetch this file again")
    except OSError as error:
        yield Trouble(f"{file} cannot be read ({error.strerror})", "let this user read it")


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_LFS)) == _LFS

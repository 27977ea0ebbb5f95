"""Which weights exactly: the part of a job's manifest that says what the same request would need to run again."""

import hashlib
from pathlib import Path

import torch

from p2p.layouts.model_files import ModelFiles

#: Weights, configurations, and tokenizers, which may lie in merges.txt and spiece.model.
_DECIDING = {".json", ".safetensors", ".txt", ".model"}


def revision_of(files: ModelFiles, dtype: torch.dtype = torch.float32) -> str:
    """A hub id's revision as given, or "sha256:..." of a directory's or a single file's weights and configurations.

    "+..." follows where more decides: the variant that is asked for, a precision other than float32, weights of fewer
    bits, LoRAs with their weights, learned words, and a single file beside a hub id's configurations.
    """
    directory = Path(files.described_by)
    further = [f"dtype:{dtype}"] if dtype is not torch.float32 else []
    if files.variant is not None:
        further.append(f"variant:{files.variant}")
    if files.quantize is not None:
        further.append(f"quantize:{files.quantize}")
    further += [f"lora:{_sha256(each.path)}:{each.weight!r}" for each in files.loras]
    further += [f"embedding:{_sha256(each.path)}:{each.token}" for each in files.embeddings]
    further += [f"stage:{revision_of(ModelFiles(path), dtype)}" for path in files.stages]
    if files.config is not None:
        further.insert(0, f"file:{_sha256(files.path)}")
    if not directory.is_dir():
        base = files.revision or "main"
    else:
        digest = hashlib.sha256()
        for file in sorted(p for p in directory.rglob("*") if p.suffix in _DECIDING and p.is_file()):
            if files.config is not None and file.suffix == ".safetensors":
                continue  # a single file's configurations may lie beside weights that are not loaded
            digest.update(file.relative_to(directory).as_posix().encode() + b"\0")
            digest.update(bytes.fromhex(_sha256(file)))
        base = f"sha256:{digest.hexdigest()[:16]}"
    if not further:
        return base
    return f"{base}+{hashlib.sha256(chr(0).join(further).encode()).hexdigest()[:16]}"


def _sha256(path: str | Path) -> str:
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

"""Which weights exactly: the part of a job's manifest that says what the same request would need to run again."""

import hashlib
from pathlib import Path

#: Weights, configurations, and tokenizers, which may lie in merges.txt and spiece.model.
_DECIDING = {".json", ".safetensors", ".txt", ".model"}


def revision_of(path: str, revision: str | None) -> str:
    """A hub id's revision as given, or "sha256:..." of a directory's weights and configuration files."""
    directory = Path(path)
    if not directory.is_dir():
        return revision or "main"
    digest = hashlib.sha256()
    for file in sorted(p for p in directory.rglob("*") if p.suffix in _DECIDING):
        digest.update(file.relative_to(directory).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"sha256:{digest.hexdigest()[:16]}"

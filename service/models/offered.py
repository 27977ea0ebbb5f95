"""What this installation offers: the models file, and what the API must know of each model's own files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs.catalogue import ModelDeclaration, load_catalogue
from prompts.counting import TokenCounter, token_counters
from prompts.schedulers import Substitution, cutting_off, substitution_of

#: When a file was changed, its size and its number; None if it is not there.
Stamp = tuple[int, int, int] | None


@dataclass(frozen=True)
class Offered:
    """The models of one reading of the models file.

    Attributes:
        stamp: of the file, from before it was read.
        substitutions: by model, where a scheduler runs that nobody has asked for.
        cutting: by model, the setting of its scheduler that cuts values off, where one does.
    """

    stamp: Stamp
    catalogue: Mapping[str, ModelDeclaration]
    counters: Mapping[str, TokenCounter]
    substitutions: Mapping[str, Substitution]
    cutting: Mapping[str, str] = field(default_factory=dict)


def load_offered(path: Path) -> Offered:
    """The models that a file declares; raises `InvalidCatalogue`. Reads files, and may fetch tokenizers."""
    stamp = stamp_of(path)
    catalogue = load_catalogue(path)
    found = {model.id: substitution_of(model) for model in catalogue.values()}
    substitutions = {name: each for name, each in found.items() if each is not None}
    cutting = {model.id: setting for model in catalogue.values() if (setting := cutting_off(model)) is not None}
    return Offered(stamp, catalogue, token_counters(catalogue), substitutions, cutting)


def stamp_of(path: Path) -> Stamp:
    """A file's stamp; a change that keeps its time, its size and its number is not seen."""
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino

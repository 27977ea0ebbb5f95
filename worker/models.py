"""Brings a declared model into memory."""

import torch

from p2p.families import load
from p2p.families.base import ModelFamily
from service.jobs.catalogue import ModelDeclaration


def load_family(declaration: ModelDeclaration, *, device: str = "auto", dtype: str = "auto") -> ModelFamily:
    """The model of a declaration, loaded and ready.

    Raises:
        UnsupportedModel: it has a part that attention control does not know.
    """
    chosen = _device(device)
    return load(
        declaration.family,
        declaration.path,
        revision=declaration.revision,
        device=chosen,
        dtype=_dtype(dtype, chosen),
    )


def _device(asked: str) -> str:
    if asked != "auto":
        return asked
    return "cuda" if torch.cuda.is_available() else "cpu"


def _dtype(asked: str, device: str) -> torch.dtype:
    if asked != "auto":
        return getattr(torch, asked)
    # CPUs compute float16 slowly where they do at all.
    return torch.float16 if device.startswith("cuda") else torch.float32

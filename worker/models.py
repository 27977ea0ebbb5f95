"""Brings a declared model into memory."""

import torch

from jobs.catalogue import ModelDeclaration
from p2p.errors import UnsupportedModel
from p2p.families import load
from p2p.families.base import ModelFamily
from p2p.layouts.model_files import ModelFiles


def load_family(declaration: ModelDeclaration, *, device: str = "auto", dtype: str = "auto") -> ModelFamily:
    """The model of a declaration, loaded and ready.

    Raises:
        UnsupportedModel: its family does not handle it, or it reads fewer tokens than are declared.
        UnsupportedSize: it cannot draw a size that is declared.
    """
    family = load(
        declaration.family,
        ModelFiles.of(declaration),
        device=device_of(device),
        dtype=precision(declaration, device, dtype),
        scheduler=declaration.scheduler,
    )
    _require_what_is_declared(declaration, family)
    return family


def _require_what_is_declared(declaration: ModelDeclaration, family: ModelFamily) -> None:
    """The API lets through what the declaration allows: what the model cannot do would fail job by job."""
    reads = family.tokenizer.model_max_length
    if declaration.max_tokens is not None and declaration.max_tokens > reads:
        raise UnsupportedModel(
            f"max_tokens is {declaration.max_tokens} and the model reads {reads}: set it to {reads}, or leave it out"
        )
    for height, width in declaration.sizes:
        family.latent_shape(height, width)


def device_of(asked: str) -> str:
    """The device that a worker's setting names."""
    if asked != "auto":
        return asked
    return "cuda" if torch.cuda.is_available() else "cpu"


def precision(declaration: ModelDeclaration, device: str, dtype: str) -> torch.dtype:
    """The precision that the worker's setting names, else the model's declaration, else the device's own."""
    name = declaration.torch_dtype if dtype == "auto" else dtype
    if name is not None:
        return getattr(torch, name)
    # CPUs compute float16 slowly where they do at all.
    return torch.float16 if device_of(device).startswith("cuda") else torch.float32

"""A pipeline of UNet, autoencoder and text encoders, loaded and laid out for the device it runs on."""

from typing import Any

import torch

from p2p.families.opening import opened
from p2p.families.packed import pack
from p2p.families.revision import revision_of
from p2p.families.source import source_of
from p2p.layouts.model_files import ModelFiles
from p2p.spec import SchedulerName


def loaded(
    family: str,
    kind: Any,
    path: str | ModelFiles,
    *,
    revision: str | None,
    device: str,
    dtype: torch.dtype,
    scheduler: SchedulerName | None = None,
    **options: Any,
) -> tuple[Any, str]:
    """The pipeline of a model's files, and its revision; safetensors only, never a pickle.

    Args:
        kind: diffusers' class of the pipeline.
        revision: of a hub id that is given as a string.
        options: of that class.
    Raises:
        UnsupportedModel: naming what the family does not handle, or what is wrong with the files.
    """
    files = ModelFiles(path, revision) if isinstance(path, str) else path
    source = source_of(family, files, scheduler)
    pipeline = opened(kind, family, source, device=device, dtype=dtype, **options)
    for network in (pipeline.unet, pipeline.vae.decoder):
        pack(network)
    return pipeline, revision_of(files, dtype)

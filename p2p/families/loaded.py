"""A pipeline of UNet, autoencoder and text encoders, loaded and laid out for the device it runs on."""

from typing import Any

import torch

from p2p.families.packed import pack
from p2p.families.revision import revision_of
from p2p.families.source import source_of
from p2p.layouts import LAYOUTS
from p2p.spec import SchedulerName


def loaded(
    family: str,
    kind: Any,
    path: str,
    *,
    revision: str | None,
    device: str,
    dtype: torch.dtype,
    scheduler: SchedulerName | None = None,
    **options: Any,
) -> tuple[Any, str]:
    """The pipeline of a diffusers directory or hub id, and its revision; safetensors only, never a pickle.

    Args:
        kind: diffusers' class of the pipeline.
        options: of that class.
    """
    source = source_of(family, path, revision, scheduler)
    unused = dict.fromkeys(LAYOUTS[family].unused)
    pipeline = kind.from_pretrained(path, **source.arguments, dtype=dtype, **options, **unused)
    if source.scheduler is not None:
        pipeline.register_modules(scheduler=source.scheduler)
    pipeline = pipeline.to(device)
    for network in (pipeline.unet, pipeline.vae.decoder):
        pack(network)
    return pipeline, revision_of(path, revision)

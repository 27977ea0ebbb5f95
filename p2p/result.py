"""The outcome of a run: pictures, maps and masks, and what they were made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from p2p.attention.maps import AttentionMaps
from p2p.blend import blend_mask
from p2p.families.base import to_images
from p2p.paste import paste_mask, pasted
from p2p.preparation import Prepared
from p2p.spec import Target
from p2p.tokens import TokenizedPrompt
from p2p.trajectory import Trajectory


@dataclass(frozen=True, eq=False)
class WordMap:
    """Where a word of a prompt acted.

    Attributes:
        word: as written, without the punctuation around it.
        occurrence: which one of this word, from 1.
        tokens: positions of its tokens.
        map: (height, width) float32: attention after the edit; the mean over steps, layers and heads,
            summed over the word's tokens.
    """

    word: str
    occurrence: int
    tokens: tuple[int, ...]
    map: np.ndarray


@dataclass(frozen=True, eq=False)
class EditResult:
    """A run's outcome; the source comes first everywhere.

    Attributes:
        images: one per prompt.
        latents: (1 + targets, channels, height, width).
        prompts: as the text encoder read them.
        maps: per prompt, one per word; empty where the spec asks for none.
        noise: (1, channels, height, width), what the run started from.
        seconds: of the parts "encode", "denoise", "decode" of the whole batch.
        trajectory: the source's, where it was to be kept.
        scheduler: the one that ran, by its name in a spec.
        masks: per target, where its local blend let it differ from the source; None if it has no blend. Of a blend by
            words (height, width) float32 of the picture's size, from 0 to 1: how much of the edit is shown, and else
            the source (`p2p.paste`). Otherwise, and with `compat`, bool of the latents' size, after the last step.
        seed: what the noise was drawn from, unless it was given.
        loras: those that it was drawn with: their ids, the digests of their files, their weights.
        anew: per target, whether the layout was made anew, for there was no room for what is added; None if its target
            has no `room`. Empty if none has.
    """

    images: tuple[Image.Image, ...]
    latents: Tensor
    prompts: tuple[TokenizedPrompt, ...]
    maps: tuple[tuple[WordMap, ...], ...]
    noise: Tensor
    seconds: dict[str, float]
    trajectory: Trajectory | None = None
    scheduler: str = "unknown"
    masks: tuple[np.ndarray | None, ...] = ()
    seed: int = 0
    loras: tuple[Mapping[str, Any], ...] = ()
    anew: tuple[bool | None, ...] = ()


def outcome(
    job: Prepared,
    latents: Tensor,
    pixels: Tensor,
    *,
    seconds: dict[str, float],
    trajectory: Trajectory | None,
    scheduler: str,
    loras: Sequence[Mapping[str, Any]],
) -> EditResult:
    """The result of a job.

    Args:
        latents: after its last step, the source's first.
        pixels: (1 + targets, 3, height, width) in 0..1, as the family finished them.
    """
    masks = blend_masks(job, (latents.shape[-2], latents.shape[-1]), (pixels.shape[-2], pixels.shape[-1]))
    shown = [None if mask is None or mask.dtype == bool else torch.from_numpy(mask) for mask in masks]
    if any(mask is not None for mask in shown):
        everything = torch.ones(pixels.shape[-2:])
        pixels = pasted(pixels, torch.stack([everything if mask is None else mask for mask in shown]))
    if job.bounds is not None:
        within = job.bounds[:, None].to(pixels.device)
        pixels = torch.cat([pixels[:1], torch.where(within, pixels[1:], pixels[:1])])
    return EditResult(
        images=to_images(pixels, truncate=job.spec.compat == "reference"),
        latents=latents,
        prompts=job.prompts,
        maps=word_maps(job.prompts, job.maps) if job.spec.artifacts.any_maps and job.maps else (),
        noise=job.noise,
        seconds=seconds,
        trajectory=trajectory,
        scheduler=scheduler,
        masks=masks,
        seed=job.spec.seeds[0],
        loras=tuple(loras),
        anew=job.anew,
    )


def blend_masks(
    job: Prepared, of_latents: tuple[int, int], of_pixels: tuple[int, int]
) -> tuple[np.ndarray | None, ...]:
    """Per target, the mask of its blend; see `EditResult`."""
    blend = job.plan.blend
    if blend is None or job.maps is None:
        return (None,) * len(job.spec.targets)
    maps = job.maps.mean()
    cells = blend_mask(maps, blend.to(maps.device), job.plan.steps - 1, of_latents).cpu()
    named = [_is_pasted(target, job) for target in job.spec.targets]
    shown = paste_mask(maps.cpu(), blend, of_pixels) if any(named) else cells
    if job.bounds is not None and any(named):
        shown = shown * job.bounds
    return tuple(
        None if target.local_blend is None else (soft if by_words else hard).numpy()
        for target, by_words, soft, hard in zip(job.spec.targets, named, shown, cells, strict=True)
    )


def _is_pasted(target: Target, job: Prepared) -> bool:
    blend = target.local_blend
    if blend is None or job.spec.compat is not None:
        return False
    return bool(blend.words or blend.source_words or blend.subtract_words or blend.source_subtract_words)


def word_maps(prompts: Sequence[TokenizedPrompt], maps: AttentionMaps) -> tuple[tuple[WordMap, ...], ...]:
    """Per prompt and word, where it acted."""
    means = maps.mean().float().cpu().numpy()  # (prompts, tokens, height, width)
    return tuple(
        tuple(WordMap(w.word, w.occurrence, w.tokens, mean[maps.place(w.tokens)].sum(0)) for w in prompt.words())
        for prompt, mean in zip(prompts, means, strict=True)
    )

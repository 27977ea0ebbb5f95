"""The composition a stranger reads first: a spec and a model in, pictures and maps out."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image
from torch import Tensor

from p2p.attention.maps import AttentionMaps
from p2p.families.base import ModelFamily, to_images
from p2p.preparation import assemble, prepare, shared_steps
from p2p.sampling import DenoisingStep, denoise
from p2p.spec import EditSpec
from p2p.tokens import TokenizedPrompt


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
    """

    images: tuple[Image.Image, ...]
    latents: Tensor
    prompts: tuple[TokenizedPrompt, ...]
    maps: tuple[tuple[WordMap, ...], ...]
    noise: Tensor
    seconds: dict[str, float]


def edit_steps(
    spec: EditSpec, family: ModelFamily, *, noise: Tensor | None = None
) -> Iterator[DenoisingStep | EditResult]:
    """Runs a spec: yields every `DenoisingStep`, then the one `EditResult`.

    Args:
        noise: the starting noise, (1, channels, height, width), instead of the seed's.
    Raises:
        PromptTooLong: a prompt has more tokens than the model reads.
        UnsupportedSize: the model cannot draw the size asked for.
    """
    for outcome in edit_batch_steps([spec], family, noises=[noise]):
        if isinstance(outcome, DenoisingStep):
            yield outcome
        else:
            yield from outcome


def edit(spec: EditSpec, family: ModelFamily, *, noise: Tensor | None = None) -> EditResult:
    """Runs a spec to its end; see `edit_steps`."""
    *_, result = edit_steps(spec, family, noise=noise)
    return cast(EditResult, result)


def edit_batch_steps(
    specs: Sequence[EditSpec], family: ModelFamily, *, noises: Sequence[Tensor | None] | None = None
) -> Iterator[DenoisingStep | tuple[EditResult, ...]]:
    """Runs specs of any edit kinds, windows, seeds and guidance together: yields every step, then all results.

    Raises:
        MixedBatch: the specs differ in their number of steps or in their size.
        PromptTooLong, UnsupportedSize: as in `edit_steps`.
    """
    began = time.perf_counter()
    scheduler = family.scheduler(shared_steps(specs))
    jobs = [
        prepare(spec, family, len(scheduler.timesteps), noise)
        for spec, noise in zip(specs, noises or [None] * len(specs), strict=True)
    ]
    conditioning, noise, streams, control = assemble(jobs, family)
    prepared = time.perf_counter()
    for step in denoise(family, scheduler, conditioning, noise, streams, control):
        yield step
    denoised = time.perf_counter()
    pixels = family.decode(step.latents)
    seconds = {"encode": prepared - began, "denoise": denoised - prepared, "decode": time.perf_counter() - denoised}
    yield tuple(
        EditResult(
            images=to_images(pixels[of_job.slice], truncate=job.spec.compat == "reference"),
            latents=step.latents[of_job.slice],
            prompts=job.prompts,
            maps=word_maps(job.prompts, job.maps) if job.wants_maps and job.maps else (),
            noise=job.noise,
            seconds=seconds,
        )
        for job, of_job in zip(jobs, (controlled.rows for controlled in control.jobs), strict=True)
    )


def word_maps(prompts: Sequence[TokenizedPrompt], maps: AttentionMaps) -> tuple[tuple[WordMap, ...], ...]:
    """Per prompt and word, where it acted."""
    means = maps.mean().float().cpu().numpy()  # (prompts, tokens, height, width)
    return tuple(
        tuple(WordMap(w.word, w.occurrence, w.tokens, mean[list(w.tokens)].sum(0)) for w in prompt.words())
        for prompt, mean in zip(prompts, means, strict=True)
    )

"""The composition a stranger reads first: a spec and a model in, pictures and maps out."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image
from torch import Tensor

from p2p.attention.control import AttentionControl, PairRows
from p2p.attention.maps import AttentionMaps
from p2p.edits import compile_plan
from p2p.families.base import ModelFamily, to_images
from p2p.sampling import DenoisingStep, denoise, noise_streams, starting_noise
from p2p.spec import EditSpec
from p2p.tokens import TokenizedPrompt, tokenize, tokenize_all

#: Where neither the spec nor the model's declaration says: the paper's.
DEFAULT_STEPS, DEFAULT_GUIDANCE_SCALE = 50, 7.5


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
        seconds: of the parts "encode", "denoise", "decode".
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
    began = time.perf_counter()
    sampling = spec.sampling
    tokenize(sampling.negative_prompt, family.tokenizer)
    prompts = tokenize_all(spec.prompts, family.tokenizer)
    guidance_scale = DEFAULT_GUIDANCE_SCALE if sampling.guidance_scale is None else sampling.guidance_scale
    scheduler = family.scheduler(sampling.steps or DEFAULT_STEPS)
    plan = compile_plan(spec, prompts, len(scheduler.timesteps)).to(family.device)
    # At 1 and below guidance has nothing to add, and the unconditional half of the batch is not computed.
    guided = guidance_scale > 1
    conditioning = family.encode_prompts(spec.prompts, sampling.negative_prompt if guided else None)
    streams = noise_streams(sampling.seed, len(prompts))
    if noise is None:
        noise = starting_noise(family.latent_shape(sampling.height, sampling.width), streams)
    first = len(spec.prompts) if guided else 0
    rows = PairRows(first, tuple(range(first + 1, first + len(spec.prompts))))
    wanted = spec.artifacts.heatmaps or spec.artifacts.raw_maps
    maps = AttentionMaps()
    control = AttentionControl(
        plan, rows, family.levels, (noise.shape[-2], noise.shape[-1]), maps if plan.blend or wanted else None
    )
    encoded = time.perf_counter()
    for step in denoise(family, scheduler, conditioning, noise, streams, control, guidance_scale):
        yield step
    denoised = time.perf_counter()
    images = to_images(family.decode(step.latents), truncate=spec.compat == "reference")
    decoded = time.perf_counter()
    yield EditResult(
        images=images,
        latents=step.latents,
        prompts=prompts,
        maps=word_maps(prompts, maps) if wanted else (),
        noise=noise,
        seconds={"encode": encoded - began, "denoise": denoised - encoded, "decode": decoded - denoised},
    )


def edit(spec: EditSpec, family: ModelFamily, *, noise: Tensor | None = None) -> EditResult:
    """Runs a spec to its end; see `edit_steps`."""
    *_, result = edit_steps(spec, family, noise=noise)
    return cast(EditResult, result)


def word_maps(prompts: Sequence[TokenizedPrompt], maps: AttentionMaps) -> tuple[tuple[WordMap, ...], ...]:
    """Per prompt and word, where it acted."""
    means = maps.mean().float().cpu().numpy()  # (prompts, tokens, height, width)
    return tuple(
        tuple(WordMap(w.word, w.occurrence, w.tokens, mean[list(w.tokens)].sum(0)) for w in prompt.words())
        for prompt, mean in zip(prompts, means, strict=True)
    )

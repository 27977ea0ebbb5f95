"""The composition a stranger reads first: a spec and a model in, pictures and maps out."""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from p2p.attention.maps import AttentionMaps
from p2p.blend import blend_mask
from p2p.errors import SeveralSeeds
from p2p.families.base import DrawnFrom, ModelFamily, to_images
from p2p.masks import Mask
from p2p.preparation import Prepared, assemble, prepare, sampler_of, shared_loras
from p2p.sampling import DenoisingStep, denoise
from p2p.spec import EditSpec
from p2p.stepping import made_of, result_of
from p2p.tokens import TokenizedPrompt
from p2p.trajectory import Keeper, Redenoising, Trajectory


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
        masks: per target, (height, width) bool of the latents' size: where its local blend let it differ from the
            source after the last step; None if it has no blend.
        seed: what the noise was drawn from, unless it was given.
        loras: those that it was drawn with: their ids, the digests of their files, their weights.
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


def edit_steps(
    spec: EditSpec,
    family: ModelFamily,
    *,
    noise: Tensor | None = None,
    keep: bool = False,
    masks: Mapping[str, Mask] | None = None,
) -> Generator[DenoisingStep, None, tuple[EditResult, ...]]:
    """Runs a spec: yields every `DenoisingStep`, and returns the result of each of its seeds, which share the run.

    Args:
        noise: the starting noise, (1, channels, height, width), instead of a seed's.
        keep: whether the result holds the source's trajectory, for `edit_again_steps`.
        masks: those that blends name, by these names: of the picture's size, white where it may change.
    Raises:
        PromptTooLong: a prompt has more tokens than the model reads.
        UnknownLora: the model does not offer a LoRA that is asked for.
        UnsupportedSize: the model cannot draw the size asked for.
        UnsupportedMask: a mask that a blend names is not there, or of another size.
        UnsupportedSampling: the scheduler cannot make so many steps.
        NotFinite: the model's latents or pixels were not finite.
    """
    specs = [spec.of_seeds(seed) for seed in spec.seeds]
    return (yield from edit_batch_steps(specs, family, noises=[noise] * len(specs), keep=keep, masks=masks))


def edit(
    spec: EditSpec,
    family: ModelFamily,
    *,
    noise: Tensor | None = None,
    keep: bool = False,
    masks: Mapping[str, Mask] | None = None,
) -> EditResult:
    """Runs a spec of one seed to its end; see `edit_steps`."""
    if len(spec.seeds) > 1:
        raise SeveralSeeds(spec.seeds)
    (result,) = result_of(edit_steps(spec, family, noise=noise, keep=keep, masks=masks))
    return result


def edit_batch_steps(
    specs: Sequence[EditSpec],
    family: ModelFamily,
    *,
    noises: Sequence[Tensor | None] | None = None,
    keep: bool = False,
    masks: Mapping[str, Mask] | None = None,
) -> Generator[DenoisingStep, None, tuple[EditResult, ...]]:
    """Runs specs of any edit kinds, windows, seeds and guidance together: yields every step, and returns all results.

    Raises:
        MixedBatch: the specs differ in their number of steps, their scheduler, their size or their LoRAs.
        PromptTooLong, UnknownLora, UnsupportedSize, UnsupportedMask, UnsupportedSampling, NotFinite: as in
            `edit_steps`.
    """
    with family.loras.applied(shared_loras(specs)):
        return (yield from _together(specs, family, noises or [None] * len(specs), keep=keep, masks=masks))


def _together(
    specs: Sequence[EditSpec],
    family: ModelFamily,
    noises: Sequence[Tensor | None],
    *,
    keep: bool,
    masks: Mapping[str, Mask] | None,
) -> Generator[DenoisingStep, None, tuple[EditResult, ...]]:
    clock = Clock()
    sampler = sampler_of(specs, family)
    jobs = [
        prepare(spec, family, sampler, noise, keep=keep, masks=masks) for spec, noise in zip(specs, noises, strict=True)
    ]
    run = assemble(jobs, family, sampler)
    rows = [part.rows.slice for part in run.control.jobs]
    kept = zip(jobs, rows, strict=True) if keep else ()
    keepers = [Keeper(job, of_job.start, family, sampler) for job, of_job in kept]
    clock.lap("encode")
    for step in denoise(run):
        for keeper in keepers:
            keeper.keep(step)
        clock.lap("denoise")
        yield step
        clock.skip()
    pixels = yield from finished(family, step, [row for job in jobs for row in job.drawn_from], clock)
    loras = family.loras.digests(specs[0].loras)
    trajectories: Sequence[Trajectory | None] = [keeper.trajectory() for keeper in keepers] or [None] * len(jobs)
    return tuple(
        _result(job, step.latents[of_job], pixels[of_job], clock, trajectory, sampler.name, loras)
        for job, of_job, trajectory in zip(jobs, rows, trajectories, strict=True)
    )


def edit_again_steps(
    spec: EditSpec, family: ModelFamily, trajectory: Trajectory, *, masks: Mapping[str, Mask] | None = None
) -> Generator[DenoisingStep, None, EditResult]:
    """Edits a kept source: like `edit_steps` with fewer rows, and the same pictures up to rounding.

    Raises:
        WrongTrajectory: the trajectory is of another source.
        PromptTooLong, UnknownLora, UnsupportedSize, UnsupportedMask, UnsupportedSampling, NotFinite: as in
            `edit_steps`.
    """
    with family.loras.applied(spec.loras):
        return (yield from _again(spec, family, trajectory, masks))


def _again(
    spec: EditSpec, family: ModelFamily, trajectory: Trajectory, masks: Mapping[str, Mask] | None
) -> Generator[DenoisingStep, None, EditResult]:
    clock = Clock()
    sampler = sampler_of([spec], family)
    job = prepare(spec, family, sampler, trajectory.noise, source_maps=trajectory.maps, masks=masks)
    run = Redenoising(family, sampler, job, trajectory)
    clock.lap("encode")
    for step in denoise(run):
        clock.lap("denoise")
        yield step
        clock.skip()
    pixels = yield from finished(family, step, job.drawn_from, clock)
    loras = family.loras.digests(spec.loras)
    return _result(job, step.latents, pixels, clock, trajectory, sampler.name, loras)


def finished(
    family: ModelFamily, last: DenoisingStep, rows: Sequence[DrawnFrom], clock: "Clock"
) -> Generator[DenoisingStep, None, Tensor]:
    """The pictures of the last step. Yields that step again, without its `clean`, while the family is still at it."""
    work = family.finish(last.latents, rows)
    pixels = yield from made_of(work, lambda _: [replace(last, clean=None)])
    clock.lap("decode")
    return pixels


class Clock:
    """Seconds of each part of a run, without the time that the caller spends between steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    def lap(self, part: str) -> None:
        """Notes what passed since the last lap as a part's."""
        now = time.perf_counter()
        self.seconds[part], self._began = self.seconds.get(part, 0.0) + now - self._began, now

    def skip(self) -> None:
        """What passed since the last lap is nobody's."""
        self._began = time.perf_counter()


def _result(
    job: Prepared,
    latents: Tensor,
    pixels: Tensor,
    clock: Clock,
    trajectory: Trajectory | None,
    scheduler: str,
    loras: Sequence[Mapping[str, Any]],
) -> EditResult:
    if job.bounds is not None:
        within = job.bounds[:, None].to(pixels.device)
        pixels = torch.cat([pixels[:1], torch.where(within, pixels[1:], pixels[:1])])
    return EditResult(
        images=to_images(pixels, truncate=job.spec.compat == "reference"),
        latents=latents,
        prompts=job.prompts,
        maps=word_maps(job.prompts, job.maps) if job.spec.artifacts.any_maps and job.maps else (),
        noise=job.noise,
        seconds=clock.seconds,
        trajectory=trajectory,
        scheduler=scheduler,
        masks=blend_masks(job, (latents.shape[-2], latents.shape[-1])),
        seed=job.spec.seeds[0],
        loras=tuple(loras),
    )


def blend_masks(job: Prepared, size: tuple[int, int]) -> tuple[np.ndarray | None, ...]:
    """Per target, the mask that its blend ended with."""
    blend = job.plan.blend
    if blend is None or job.maps is None:
        return (None,) * len(job.spec.targets)
    maps = job.maps.mean()
    masks = blend_mask(maps, blend.to(maps.device), job.plan.steps - 1, size).cpu().numpy()
    return tuple(mask if t.local_blend else None for t, mask in zip(job.spec.targets, masks, strict=True))


def word_maps(prompts: Sequence[TokenizedPrompt], maps: AttentionMaps) -> tuple[tuple[WordMap, ...], ...]:
    """Per prompt and word, where it acted."""
    means = maps.mean().float().cpu().numpy()  # (prompts, tokens, height, width)
    return tuple(
        tuple(WordMap(w.word, w.occurrence, w.tokens, mean[maps.place(w.tokens)].sum(0)) for w in prompt.words())
        for prompt, mean in zip(prompts, means, strict=True)
    )

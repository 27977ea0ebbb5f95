"""Specs made ready to run, each by itself."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from p2p.attention.maps import AttentionMaps
from p2p.change.beside import Beside, rows_beside
from p2p.edits import compile_plan
from p2p.errors import SeedNotDrawn, SeveralSeeds, UnsupportedSampling
from p2p.families.base import DrawnFrom, ModelFamily
from p2p.families.encoded import Encoded
from p2p.masks import Mask, bounds, cells
from p2p.plan import EditPlan
from p2p.published import maps_of, with_published
from p2p.samplers.base import Sampler
from p2p.sampling import noise_streams
from p2p.spec import DRAW, EditSpec, Sampling
from p2p.tokens import TokenizedPrompt, chunks_needed, tokenize, tokenize_all

#: Where neither the spec nor the model's declaration says: the paper's.
DEFAULT_STEPS, DEFAULT_GUIDANCE_SCALE = 50, 7.5
#: Added to a seed for noise of an edit's own: far from the seeds that a user counts through, whose noise it would be.
_FRESH, _SEEDS = 77_000_001, 2**32


def with_defaults(sampling: Sampling) -> Sampling:
    """A sampling with its steps, guidance scale and seed said.

    Raises:
        SeedNotDrawn: its seed is -1.
    """
    if sampling.seed == DRAW:
        raise SeedNotDrawn
    steps = sampling.steps or DEFAULT_STEPS
    scale = DEFAULT_GUIDANCE_SCALE if sampling.guidance_scale is None else sampling.guidance_scale
    return sampling.model_copy(update={"steps": steps, "guidance_scale": scale, "seed": sampling.seed or 0})


@dataclass(frozen=True, eq=False)
class Fresh:
    """Noise of its own for edits that ask for it.

    Attributes:
        noise: (targets, channels, height, width).
        wanted: (targets,) bool.
    """

    noise: Tensor
    wanted: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared:
    """One spec, ready to run.

    Attributes:
        text: encoded, a row for each prompt.
        unconditional: the negative prompt's, one row; None if no row is guided by another.
        noise: (1, channels, height, width), what all its rows start from.
        streams: a stream of further noise per row, all the same.
        maps: where its word maps are gathered; None if nothing reads them.
        bounds: (targets, height, width) bool, of the pictures' size: where they may differ from the source at most;
            None if no user has drawn a bound.
        fresh: None if all edits start from the source's noise.
        beside, texts_beside: rows that are drawn beside the pictures, and the encoded text of each. In the plan they
            are the last targets.
        anew: of each target with `room`, whether its layout was made anew (`EditResult`).
    """

    spec: EditSpec
    prompts: tuple[TokenizedPrompt, ...]
    plan: EditPlan
    text: Encoded
    unconditional: Encoded | None
    guidance_scale: float
    noise: Tensor
    streams: list[torch.Generator]
    maps: AttentionMaps | None
    bounds: Tensor | None = None
    fresh: Fresh | None = None
    beside: tuple[Beside, ...] = ()
    texts_beside: Sequence[Encoded] = ()
    anew: tuple[bool | None, ...] = ()

    @property
    def drawn_from(self) -> list[DrawnFrom]:
        """Of each row, what it is drawn from."""
        sampling, each = self.spec.sampling, zip(self.spec.prompts, self.text.rows(), strict=True)
        return [
            DrawnFrom(
                text,
                self.unconditional,
                self.spec.seeds[0],
                size=(sampling.height, sampling.width),
                prompt=prompt,
                negative_prompt=sampling.negative_prompt,
            )
            for prompt, text in each
        ]


def sampler_of(spec: EditSpec, family: ModelFamily) -> Sampler:
    """A fresh sampler for a spec.

    Raises:
        UnsupportedSize, UnsupportedSampling: the model cannot draw the size, or be sampled so.
    """
    sampling = with_defaults(spec.sampling)
    shape = family.latent_shape(sampling.height, sampling.width)
    return family.sampler(cast(int, sampling.steps), sampling.scheduler, shape, **ordered(sampling))


def ordered(sampling: Sampling) -> dict[str, Any]:
    """The order of a sampling as an argument of `ModelFamily.sampler`, where it asks for one."""
    return {} if sampling.order is None else {"order": sampling.order}


def pixels_a_cell(sampling: Sampling, family: ModelFamily) -> int:
    """Pixels of a picture of the size that is asked for, along one cell of its latents."""
    return family.scale_factor * family.finishing(sampling.height, sampling.width).factor


def chunks_of(spec: EditSpec, family: ModelFamily) -> int:
    """How many chunks each prompt of a spec is read in; raises `PromptTooLong`."""
    if not family.reads_chunks:
        return 1
    beside = (row.drawn.prompt for row in rows_beside(spec))
    return chunks_needed([*spec.prompts, *beside, spec.sampling.negative_prompt], family.tokenizers, spec.long_prompts)


def prepare(
    spec: EditSpec,
    family: ModelFamily,
    sampler: Sampler,
    noise: Tensor | None = None,
    *,
    keep: bool = False,
    source_maps: Tensor | None = None,
    masks: Mapping[str, Mask] | None = None,
) -> Prepared:
    """A spec, tokenized, compiled, encoded, and with its noise drawn.

    Args:
        sampler: of the run.
        noise: instead of the seed's.
        keep: whether the source is to be kept: all its maps are gathered, whatever a later edit may read.
        source_maps: (calls, tokens, height, width), of a source that is kept.
        masks: those that its blends name, of the picture's size.
    Raises:
        SeveralSeeds: the spec has several: `EditSpec.of_seeds` gives it one.
        SeedNotDrawn: its seed is -1: `p2p.seeds.drawn` gives it one.
        UnsupportedSampling: it has a negative prompt, and the model takes none.
        UnsupportedMask: one that a blend names is not there, or of another size.
    """
    if spec.sampling.seeds is not None:
        raise SeveralSeeds(spec.seeds)
    sampling = with_defaults(spec.sampling)
    _refuse_negative(sampling.negative_prompt, family)
    chunks = chunks_of(spec, family)
    tokenize(sampling.negative_prompt, family.tokenizer, chunks)
    beside = rows_beside(spec)
    unsaid = [row.drawn.prompt for row in beside]
    tokenized = tokenize_all((*spec.prompts, *unsaid), family.tokenizer, chunks)
    prompts = tokenized[: len(spec.prompts)]
    plan = compile_plan(spec, tokenized, sampler.num_steps, [row.drawn for row in beside])
    plan = with_published(plan, spec, prompts, family)
    guidance_scale = cast(float, sampling.guidance_scale)
    streams = noise_streams(cast(int, sampling.seed), len(prompts))
    shape, factor = family.latent_shape(sampling.height, sampling.width), pixels_a_cell(sampling, family)
    drawn = sampler.start(shape, streams)
    bounded = bounds(spec.targets, (drawn.shape[-2] * factor, drawn.shape[-1] * factor), masks or {})
    maps = _maps(spec, prompts, plan, sampler.num_steps, source_maps, keep=keep)
    if maps is not None and plan.blend is not None:
        within = None if bounded is None else cells(bounded, factor)
        plan = replace(plan, blend=replace(plan.blend, within=within).of_tokens(maps.columns))
    return Prepared(
        spec=spec,
        prompts=prompts,
        plan=plan,
        text=family.encode_prompts(spec.prompts, chunks),
        beside=beside,
        texts_beside=family.encode_prompts(unsaid, chunks).rows() if beside else (),
        unconditional=_unconditional(sampling, family, chunks),
        guidance_scale=guidance_scale,
        noise=drawn if noise is None else noise,
        streams=streams,
        maps=maps,
        bounds=bounded,
        fresh=_fresh(spec, sampler, shape),
    )


def _unconditional(sampling: Sampling, family: ModelFamily, chunks: int) -> Encoded | None:
    """What rows are guided away from; None if none is."""
    guides = family.guides(cast(float, sampling.guidance_scale))
    return family.encode_negative(sampling.negative_prompt, chunks) if guides else None


def _fresh(spec: EditSpec, sampler: Sampler, shape: tuple[int, int, int]) -> Fresh | None:
    """Noise of a seed that follows from the spec's."""
    wanted = [target.local_blend is not None and target.local_blend.fresh_noise for target in spec.targets]
    if not any(wanted):
        return None
    seed = cast(int, with_defaults(spec.sampling).seed) + _FRESH
    # Rows that are alike try one noise after the other.
    numbers = [spec.targets[:index].count(target) for index, target in enumerate(spec.targets)]
    tries = [0 if target.room is None else number for target, number in zip(spec.targets, numbers, strict=True)]
    noise = [sampler.start(shape, noise_streams((seed + number) % _SEEDS, 1)) for number in tries]
    return Fresh(torch.cat(noise), torch.tensor(wanted))


def _maps(
    spec: EditSpec,
    prompts: Sequence[TokenizedPrompt],
    plan: EditPlan,
    steps: int,
    source_maps: Tensor | None,
    *,
    keep: bool,
) -> AttentionMaps | None:
    """Where a run gathers its maps; None if nothing reads them."""
    if keep or plan.blend is not None or spec.artifacts.any_maps:
        return maps_of(spec, steps, None if keep else _tokens_read(spec, prompts, plan), source_maps)
    return None


def _refuse_negative(prompt: str, family: ModelFamily) -> None:
    """Refuses a negative prompt where nothing would read it."""
    if prompt and not family.guides(math.inf):
        raise UnsupportedSampling(
            "this model takes guidance as an input, so no negative prompt acts on it, and "
            f"{prompt!r} was given: leave it out"
        )


def _tokens_read(spec: EditSpec, prompts: Sequence[TokenizedPrompt], plan: EditPlan) -> list[int]:
    """The positions whose maps a run needs: those of all words where it shows maps, and those its blends name."""
    wanted: set[int] = set()
    if spec.artifacts.any_maps:
        wanted.update(token for prompt in prompts for word in prompt.words() for token in word.tokens)
    if plan.blend is not None:
        named = (plan.blend.words + plan.blend.subtract_words).sum((0, 1))
        # What is added is looked for in the free row too, which has no blend.
        named = named if plan.blend.held is None else named + plan.blend.held.sum(0)
        wanted.update(named.nonzero().flatten().tolist())
    return sorted(wanted)

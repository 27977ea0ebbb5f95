"""Specs made ready to run: each by itself, then all of a batch side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl, Controlled, PairRows
from p2p.attention.maps import AttentionMaps
from p2p.edits import compile_plan
from p2p.errors import MixedBatch
from p2p.families.base import Conditioning, ModelFamily
from p2p.plan import EditPlan
from p2p.sampling import BatchDenoising, noise_streams, starting_noise
from p2p.spec import EditSpec
from p2p.tokens import TokenizedPrompt, tokenize, tokenize_all

#: Where neither the spec nor the model's declaration says: the paper's.
DEFAULT_STEPS, DEFAULT_GUIDANCE_SCALE = 50, 7.5


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared:
    """One spec, ready to run.

    Attributes:
        text: (prompts, tokens, channels), encoded.
        unconditional: (1, tokens, channels) of the negative prompt; None where guidance adds nothing.
        noise: (1, channels, height, width), the one noise of all its rows.
        streams: a stream of further noise per row, all the same.
        maps: where its word maps are gathered; None where nothing reads them.
    """

    spec: EditSpec
    prompts: tuple[TokenizedPrompt, ...]
    plan: EditPlan
    text: Tensor
    unconditional: Tensor | None
    guidance_scale: float
    noise: Tensor
    streams: list[torch.Generator]
    maps: AttentionMaps | None


def shared_steps(specs: Sequence[EditSpec]) -> int:
    """The number of steps of specs that are to run together; raises `MixedBatch` where they differ."""
    steps = {spec.sampling.steps or DEFAULT_STEPS for spec in specs}
    if len(steps) > 1:
        raise MixedBatch(f"one batch cannot run {' and '.join(map(str, sorted(steps)))} steps: run them apart")
    return steps.pop()


def prepare(
    spec: EditSpec, family: ModelFamily, calls: int, noise: Tensor | None = None, source_maps: Tensor | None = None
) -> Prepared:
    """A spec, tokenized, compiled, encoded, and with its noise drawn.

    Args:
        calls: model calls of the run; PNDM makes one more than its steps.
        noise: instead of the seed's.
        source_maps: (calls, tokens, height, width), of a source that is kept.
    """
    sampling = spec.sampling
    tokenize(sampling.negative_prompt, family.tokenizer)
    prompts = tokenize_all(spec.prompts, family.tokenizer)
    plan = compile_plan(spec, prompts, calls)
    guidance_scale = DEFAULT_GUIDANCE_SCALE if sampling.guidance_scale is None else sampling.guidance_scale
    streams = noise_streams(sampling.seed, len(prompts))
    drawn = starting_noise(family.latent_shape(sampling.height, sampling.width), streams)
    reads = plan.blend is not None or spec.artifacts.any_maps
    return Prepared(
        spec=spec,
        prompts=prompts,
        plan=plan,
        text=family.encode_prompts(spec.prompts),
        unconditional=family.encode_prompts([sampling.negative_prompt]) if guidance_scale > 1 else None,
        guidance_scale=guidance_scale,
        noise=drawn if noise is None else noise,
        streams=streams,
        maps=AttentionMaps(source_maps) if reads else None,
    )


def assemble(jobs: Sequence[Prepared], family: ModelFamily, scheduler) -> BatchDenoising:
    """The run of jobs side by side.

    Raises:
        MixedBatch: they differ in size.
    """
    sizes = {(job.noise.shape[-2], job.noise.shape[-1]) for job in jobs}
    if len(sizes) > 1:
        raise MixedBatch(f"one batch cannot hold latents of {sorted(sizes)}: run sizes apart")
    unconditional = [j.unconditional.expand_as(j.text) for j in jobs if j.unconditional is not None]
    conditioning = Conditioning(
        torch.cat([*unconditional, *(job.text for job in jobs)]),
        torch.cat([torch.full((len(job.prompts),), job.guidance_scale) for job in jobs]),
    )
    controlled, first = [], 0
    for job in jobs:
        rows = PairRows(first, tuple(range(first + 1, first + len(job.prompts))))
        controlled.append(Controlled(job.plan, rows, job.maps))
        first += len(job.prompts)
    control = AttentionControl(
        controlled,
        family.levels,
        sizes.pop(),
        unconditional=len(conditioning.guided),
        device=family.device,
        dtype=family.dtype,
    )
    noise = torch.cat([job.noise.expand(len(job.prompts), -1, -1, -1) for job in jobs])
    streams = [stream for job in jobs for stream in job.streams]
    return BatchDenoising(family, scheduler, conditioning, noise, streams, control)

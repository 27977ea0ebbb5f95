"""The runs of one job: everything side by side, or for less memory and the same pictures in parts, one after the other.

A run holds one source for each of its seeds and the edits of each. A seed whose source is kept runs by itself: it has
other rows than a source that is generated (`p2p.trajectory`).
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate

import torch
from PIL import Image

from p2p.edit import EditResult
from p2p.sampling import DenoisingStep
from p2p.spec import EditSpec
from p2p.stepping import made_of
from p2p.trajectory import Trajectory
from worker.runs_in_cohort import Stepped
from worker.sampler import Sampler

#: What a sampler is given at a time.
Run = tuple[EditSpec, Trajectory | None]


def ways(spec: EditSpec, kept: Mapping[int, Trajectory]) -> Sequence[Sequence[Run]]:
    """The ways to run a spec: the fastest first, and each with smaller runs than the one before.

    Args:
        kept: sources that are kept, by their seeds.
    """
    fresh = [seed for seed in spec.seeds if seed not in kept]
    alone: list[Run] = [(spec.of_seeds(seed), kept.get(seed)) for seed in spec.seeds]
    together: list[Run] = [(spec.of_seeds(*fresh), None)] if fresh else []
    found = [[*together, *(run for run in alone if run[1] is not None)]]
    if len(fresh) > 1:
        found.append(alone)
    if len(spec.targets) > 1:
        found.append(
            [(one.model_copy(update={"targets": (target,)}), source) for one, source in alone for target in one.targets]
        )
    return found


def run_all(
    sampler: Sampler, runs: Sequence[Run], seeds: Sequence[int], masks: Mapping[str, Image.Image]
) -> Generator[Stepped, None, tuple[EditResult, ...]]:
    """Every step of every run, numbered through; returns a result for each seed, as if there had been one run of it."""
    results: dict[int, list[EditResult]] = {}
    before = list(accumulate((len(spec.seeds) for spec, _ in runs), initial=0))
    for number, (spec, kept) in enumerate(runs):
        numbered = partial(_numbered, number, len(runs), before[number], len(spec.seeds), before[-1])
        found = yield from made_of(sampler.steps(spec, kept, masks), numbered)
        for result in found:
            results.setdefault(result.seed, []).append(result)
    return tuple(joined(results[seed]) for seed in seeds)


def _numbered(run: int, runs: int, before: int, own: int, seeds: int, step: Stepped) -> Iterator[Stepped]:
    """A step of one run as a step of all. They have as many steps each, and as many of finishing for each seed.

    Args:
        before, own, seeds: how many the runs before it have, it has, and all have.
    """
    if not isinstance(step, DenoisingStep):
        yield step
        return
    # A part of the pictures is no preview of the job, and memory may be short.
    clean = step.clean if runs == 1 else None
    each = step.finishing // own
    yield replace(
        step,
        index=run * step.num_steps + step.index,
        num_steps=runs * step.num_steps,
        finished=before * each + step.finished,
        finishing=seeds * each,
        clean=clean,
    )


def joined(results: Sequence[EditResult]) -> EditResult:
    """Results of one source's edits as one: the source once, then every edit."""
    first, others = results[0], results[1:]
    if not others:
        return first
    return replace(
        first,
        images=(*first.images, *(image for result in others for image in result.images[1:])),
        latents=torch.cat([first.latents, *(result.latents[1:] for result in others)]),
        prompts=(*first.prompts, *(prompt for result in others for prompt in result.prompts[1:])),
        maps=(*first.maps, *(maps for result in others for maps in result.maps[1:])),
        masks=tuple(mask for result in results for mask in result.masks),
        seconds={part: sum(result.seconds[part] for result in results) for part in first.seconds},
    )

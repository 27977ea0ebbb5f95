"""One job's edits one after the other instead of all at once: slower, and for less memory the same pictures."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from p2p.edit import EditResult
from p2p.sampling import DenoisingStep
from p2p.spec import EditSpec
from p2p.trajectory import Trajectory
from worker.sampler import Sampler


def edited_apart(sampler: Sampler, spec: EditSpec, kept: Trajectory | None) -> Iterator[DenoisingStep | EditResult]:
    """Every step of every edit, numbered through, then one result as if they had shared a run."""
    results: list[EditResult] = []
    for number, target in enumerate(spec.targets):
        for outcome in sampler.steps(spec.model_copy(update={"targets": (target,)}), kept):
            if isinstance(outcome, EditResult):
                results.append(outcome)
            else:
                before = number * outcome.num_steps
                steps = len(spec.targets) * outcome.num_steps
                # No previews: they would show one edit at a time, and memory is short already.
                yield replace(outcome, index=before + outcome.index, num_steps=steps, clean=None)
    yield together(results)


def together(results: list[EditResult]) -> EditResult:
    """Results of one source's edits as one: the source once, then every edit."""
    first, others = results[0], results[1:]
    return replace(
        first,
        images=(*first.images, *(image for result in others for image in result.images[1:])),
        latents=torch.cat([first.latents, *(result.latents[1:] for result in others)]),
        prompts=(*first.prompts, *(prompt for result in others for prompt in result.prompts[1:])),
        maps=(*first.maps, *(maps for result in others for maps in result.maps[1:])),
        seconds={part: sum(result.seconds[part] for result in results) for part in first.seconds},
    )

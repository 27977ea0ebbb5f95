"""A source that is kept: later edits of it run its row only where they carry something over.

A generated source needs its unconditional row to be generated, and its conditional one at every step. An edit of a
kept source needs neither picture nor guidance of it: only its queries and keys, and those only inside the windows.
So one edit costs three rows, then two, instead of four.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl, Controlled, PairRows, controlled
from p2p.errors import WrongTrajectory
from p2p.families.base import Conditioning, ModelFamily
from p2p.plan import EditPlan
from p2p.preparation import Prepared
from p2p.sampling import blended, noise_for
from p2p.spec import EditSpec


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """The run of a source.

    Attributes:
        key: of all that determines it (`key_of`).
        noise: (1, channels, height, width), what it started from.
        latents: (steps, channels, height, width), after each step, in the run's dtype.
        maps: (steps, tokens, map_height, map_width) float32, of each step, at the maps' level; None where the run
            gathered none.
    """

    key: str
    noise: Tensor
    latents: Tensor
    maps: Tensor | None


def key_of(spec: EditSpec, family: ModelFamily, scheduler) -> str:
    """What determines a source's run, as a digest: model, precision, sampler, prompt, seed, size."""
    determined_by = {
        "revision": family.revision,
        "dtype": str(family.dtype),
        "scheduler": [type(scheduler).__name__, {k: v for k, v in scheduler.config.items() if not k.startswith("_")}],
        "source": spec.source.model_dump(mode="json"),
        "sampling": spec.sampling.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(determined_by, sort_keys=True, default=str).encode()).hexdigest()


class Redenoising:
    """The denoising of edits of a kept source.

    Raises:
        WrongTrajectory: it is of another source, or lacks the maps that this edit reads.
    """

    def __init__(self, family: ModelFamily, scheduler, job: Prepared, trajectory: Trajectory) -> None:
        if trajectory.key != key_of(job.spec, family, scheduler):
            raise WrongTrajectory("the kept source was made otherwise (model, sampling or prompt): generate it anew")
        if job.maps is not None and job.maps.of_source is None:
            raise WrongTrajectory("the kept source has no word maps, which this edit reads: generate it anew with maps")
        self.family, self.scheduler, self.job, self.trajectory = family, scheduler, job, trajectory
        self.num_steps, self.num_targets = len(scheduler.timesteps), len(job.prompts) - 1
        size = job.noise.shape[-2], job.noise.shape[-1]
        self.with_source, self.alone = (_part(family, job, size, source) for source in (True, False))
        self.drawn = noise_for(scheduler, job.streams[1:])
        self.source = job.noise.to(family.device, family.dtype) * scheduler.init_noise_sigma
        self.latents = self.source.expand(self.num_targets, -1, -1, -1)

    def step(self, index: int) -> Tensor:
        """Does a step; the source's latents come first."""
        timestep = self.scheduler.timesteps[index]
        needed = _carries(self.job.plan, index)
        part = self.with_source if needed else self.alone
        rows = torch.cat([self.source, self.latents]) if needed else self.latents
        part.control.at_step(index)
        with controlled(self.family.attention_layers, part.processors):
            scaled = self.scheduler.scale_model_input(rows, timestep)
            prediction = self.family.predict(scaled, timestep, part.conditioning)[-self.num_targets :]
        latents = self.scheduler.step(prediction, timestep, self.latents, **self.drawn, return_dict=False)[0]
        part.control.end_step()
        self.source = self.trajectory.latents[index : index + 1].to(latents)
        pictures = blended(torch.cat([self.source, latents]), self.with_source.control, index)
        self.latents = pictures[1:]
        return pictures


@dataclass(frozen=True, eq=False)
class _Part:
    """How a step is run: with the source's row or without."""

    control: AttentionControl
    processors: dict
    conditioning: Conditioning


def _part(family: ModelFamily, job: Prepared, size: tuple[int, int], with_source: bool) -> _Part:
    first = 1 if with_source else 0
    targets = tuple(range(first, first + len(job.prompts) - 1))
    text = job.text if with_source else job.text[1:]
    unconditional = [] if job.unconditional is None else [job.unconditional.expand_as(job.text[1:])]
    # The source's own prediction is not used: a guidance of one spares its unconditional row.
    scale = torch.tensor([1.0] * first + [job.guidance_scale] * len(targets))
    conditioning = Conditioning(torch.cat([*unconditional, text]), scale)
    control = AttentionControl(
        [Controlled(job.plan, PairRows(0 if with_source else None, targets), job.maps)],
        family.levels,
        size,
        unconditional=len(conditioning.guided),
        device=family.device,
        dtype=family.dtype,
    )
    return _Part(control, dict(family.attention_processors(control)), conditioning)


def _carries(plan: EditPlan, step: int) -> bool:
    """Whether anything of the source's attention is carried over at a step."""
    return bool(plan.cross.schedule[step].any() or plan.self_schedule[step].any())


def kept(key: str, noise: Tensor, latents: Sequence[Tensor], maps: Sequence[Tensor]) -> Trajectory:
    """The trajectory of a run: its source's latents after each step, and its maps of each step if there are any."""
    return Trajectory(
        key=key, noise=noise, latents=torch.stack(list(latents)), maps=torch.stack(list(maps)) if maps else None
    )

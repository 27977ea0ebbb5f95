"""A source that is kept: later edits of it run its row only where they carry something over.

A generated source needs its unconditional row to be generated, and its conditional one at every step. An edit of a
kept source needs neither picture nor guidance of it: only its queries and keys, and those only inside the windows.
So one edit costs three rows, then two, instead of four.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl, Controlled, PairRows, controlled
from p2p.errors import WrongTrajectory
from p2p.families.base import ModelFamily
from p2p.families.conditioning import Conditioning
from p2p.families.encoded import Encoded
from p2p.plan import EditPlan
from p2p.preparation import Prepared, chunks_of, with_defaults
from p2p.samplers.base import Sampler
from p2p.sampling import DenoisingStep, blended
from p2p.spec import EditSpec, LoraUse, Sampling


@dataclass(frozen=True, kw_only=True)
class Inverted:
    """Of which picture a trajectory is an inversion, and how it was found.

    Attributes:
        method: its name in `p2p.inversion.INVERSIONS`.
        picture: a digest of it (`p2p.inversion.encode.digest_of`).
        sampling: the fields of `p2p.spec.Sampling` on which what is found depends; edits must agree in these.
        settings: the method's own, where they are not its defaults.
    """

    method: str
    picture: str
    sampling: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """The run of a source: of a generated one as it went, or of a picture as an inversion found it.

    Attributes:
        key: of all that determines it (`key_of`).
        noise: (1, channels, height, width), what it started from.
        latents: (steps, channels, height, width), after each step, in the run's dtype.
        maps: (steps, tokens, map_height, map_width) float32, of each step, at the maps' level.
        unconditional: what guidance pushes away from, one row, or one for each step; None without guidance, and
            where it is the negative prompt of the edit.
        step_noise: (steps, channels, height, width), what the sampler added on the way; None if it adds none.
            An inverted source's is given to its edits; a generated one's is drawn again, from the seed.
        inverted: None if the source was generated.
    """

    key: str
    noise: Tensor
    latents: Tensor
    maps: Tensor
    unconditional: Encoded | None = None
    step_noise: Tensor | None = None
    inverted: Inverted | None = None


def key_of(spec: EditSpec, family: ModelFamily, sampler: Sampler, inverted: Inverted | None = None) -> str:
    """What determines a source's run, as a digest: model, precision, device, sampler, prompt, seed, size.

    Of an inverted source: the picture, the method, and of the sampling only what the method depends on.
    """
    if inverted is not None:
        shape = family.latent_shape(spec.sampling.height, spec.sampling.width)
        return inverted_key(spec.source.prompt, spec.sampling, shape, family, sampler, inverted, spec.loras)
    source = {"prompt": spec.source.prompt}
    # The scheduler that runs is in the digest, whether it was asked for or is the model's own.
    sampling = spec.sampling.model_dump(mode="json", exclude={"scheduler", "seeds"})
    sampling["seed"] = spec.seeds[0]
    # Where its prompts have several chunks, the source's is read in as many, and gives another picture.
    chunks = chunks_of(spec, family)
    further = {"chunks": chunks} if chunks > 1 else {}
    return _digest(family, sampler, source=source, sampling=sampling, **further, **_of_loras(spec.loras, family))


def inverted_key(
    prompt: str,
    sampling: Sampling,
    shape: Sequence[int],
    family: ModelFamily,
    sampler: Sampler,
    inverted: Inverted,
    loras: Sequence[LoraUse] = (),
) -> str:
    """The key of a picture's inversion with a prompt, known before it is made.

    Args:
        shape: channels, height and width of the picture's latents.
    """
    return _digest(
        family,
        sampler,
        source={"prompt": prompt},
        sampling={name: getattr(with_defaults(sampling), name) for name in inverted.sampling},
        shape=list(shape),
        inverted=asdict(inverted),
        **_of_loras(loras, family),
    )


def _of_loras(uses: Sequence[LoraUse], family: ModelFamily) -> dict[str, Any]:
    """What LoRAs add to a key; nothing if there are none, so that older keys stay right."""
    return {"loras": family.loras.digests(uses)} if uses else {}


def _digest(family: ModelFamily, sampler: Sampler, **determined_by) -> str:
    determined_by |= {
        "revision": family.revision,
        "dtype": str(family.dtype),
        "device": family.device.type,
        "scheduler": sampler.described,
    }
    return hashlib.sha256(json.dumps(determined_by, sort_keys=True, default=str).encode()).hexdigest()


class Redenoising:
    """The denoising of edits of a kept source.

    Raises:
        WrongTrajectory: it is of another source.
    """

    def __init__(self, family: ModelFamily, sampler: Sampler, job: Prepared, trajectory: Trajectory) -> None:
        if trajectory.key != key_of(job.spec, family, sampler, trajectory.inverted):
            again = "generate it anew" if trajectory.inverted is None else "invert the picture anew"
            raise WrongTrajectory(f"the kept source was made otherwise (model, sampling or prompt): {again}")
        self.family, self.sampler, self.job, self.trajectory = family, sampler, job, trajectory
        self.num_steps, self.num_targets = sampler.num_steps, len(job.prompts) - 1
        size = job.noise.shape[-2], job.noise.shape[-1]
        unconditional = _unconditional(job, trajectory)
        self.with_source, self.alone = (_part(family, job, size, unconditional, source) for source in (True, False))
        self.source = sampler.state(job.noise)
        self.latents = self.source.expand(self.num_targets, -1, -1, -1)

    def step(self, index: int) -> Tensor:
        """Does a step; the source's latents come first."""
        needed = _carries(self.job.plan, index)
        part = self.with_source if needed else self.alone
        rows = torch.cat([self.source, self.latents]) if needed else self.latents
        part.control.at_step(index)
        with controlled(self.family.attention_layers, part.processors):
            seen = self.sampler.seen(rows, index)
            output = self.family.predict(seen, self.sampler.timestep(index), part.conditioning(index))
        prediction = output[-self.num_targets :]
        self._last = index, seen[-self.num_targets :], prediction
        latents = self.sampler.step(prediction, index, self.latents, self.job.streams[1:], self._found(index))
        part.control.end_step()
        self.source = self.trajectory.latents[index : index + 1].to(latents)
        pictures = blended(torch.cat([self.source, latents]), self.with_source.control, index)
        self.latents = pictures[1:]
        return pictures

    def clean(self) -> Tensor:
        """Of the source what it is known to end as."""
        index, seen, prediction = self._last
        targets = self.sampler.clean(seen, prediction, index)
        source = self.trajectory.latents[-1:].to(targets)
        return blended(torch.cat([source, targets]), self.with_source.control, index)

    def _found(self, index: int) -> Tensor | None:
        """The noise that a picture's inversion found for a step; None if the sampler draws its own."""
        noise = self.trajectory.step_noise
        return None if self.trajectory.inverted is None or noise is None else noise[index : index + 1]


def _unconditional(job: Prepared, trajectory: Trajectory) -> Encoded | None:
    """What the targets are guided away from, one row or one for each step; None if no row is guided by another."""
    if job.unconditional is None or trajectory.unconditional is None:
        return job.unconditional
    return trajectory.unconditional.to(job.text.context)


@dataclass(frozen=True, eq=False)
class _Part:
    """How a step is run: with the source's row or without."""

    control: AttentionControl
    processors: dict
    conditioning: Callable[[int], Conditioning]  # of a step


def _part(
    family: ModelFamily, job: Prepared, size: tuple[int, int], unconditional: Encoded | None, with_source: bool
) -> _Part:
    first = 1 if with_source else 0
    targets = tuple(range(first, first + len(job.prompts) - 1))
    # The source's own prediction is not used, so it needs no unconditional row. Its scale is the job's all the same:
    # models that take the scale as an input make other queries and keys with another one.
    scale = [job.guidance_scale] * (first + len(targets))
    # Of no prompt: a target's words may be those of the negative prompt, whose place another embedding may have taken.
    away = [] if unconditional is None else [(None, embedding) for embedding in unconditional.rows()]

    @lru_cache(maxsize=1)  # the same tensor for as long as it stays: layers keep what they made of it
    def of(place: int) -> Conditioning:
        rows = [*(away[place : place + 1] * len(targets)), *job.rows[1 - first :]]
        return Conditioning.of(rows, scale, guided=targets if away else ())

    control = AttentionControl(
        [Controlled(job.plan, PairRows(0 if with_source else None, targets), job.maps)],
        family.map_factor,
        size,
        prompts=of(0).prompts,
        unconditional=len(targets) if away else 0,
        device=family.device,
    )
    processors = dict(family.attention_processors(control))
    return _Part(control, processors, lambda step: of(step if len(away) > 1 else 0))


def _carries(plan: EditPlan, step: int) -> bool:
    """Whether anything of the source's attention is carried over at a step."""
    return bool(plan.cross.schedule[step].any() or plan.self_schedule[step].any())


class Keeper:
    """Notes a source's run as it goes.

    Args:
        row: of the run, the source's.
    """

    def __init__(self, job: Prepared, row: int, family: ModelFamily, sampler: Sampler) -> None:
        if job.maps is None:
            raise ValueError("a source is kept with its maps: prepare the job so (`keep=True`)")
        self.job, self.row, self.family, self.sampler, self.maps = job, row, family, sampler, job.maps
        self.latents: list[Tensor] = []
        self.added: list[Tensor | None] = []
        self._stream = job.streams[0].get_state()

    def keep(self, step: DenoisingStep) -> None:
        """Notes a step that has just been done."""
        self.latents.append(step.latents[self.row].clone())
        self.added.append(self.sampler.drawn(self._stream, self.job.streams[0], self.latents[-1]))
        self._stream = self.job.streams[0].get_state()

    def trajectory(self) -> Trajectory:
        """The whole, after the last step."""
        added = [torch.zeros_like(self.latents[0]) if noise is None else noise for noise in self.added]
        return Trajectory(
            key=key_of(self.job.spec, self.family, self.sampler),
            noise=self.job.noise,
            latents=torch.stack(self.latents),
            maps=torch.stack(self.maps.of_source_by_step),
            unconditional=self.job.unconditional,
            step_noise=torch.stack(added) if any(noise is not None for noise in self.added) else None,
        )

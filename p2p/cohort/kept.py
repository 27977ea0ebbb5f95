"""A source that is kept: its row is given to the model only at steps at which something of it is carried over.

A generated source needs its unconditional row to be generated, and its conditional one at every step. An edit of a
kept source needs neither picture nor guidance of it: only its queries and keys, and those only inside the windows.
So one edit costs three rows, then two, instead of four.
"""

import torch
from torch import Tensor

from p2p.cohort.given import Asked, Given, Text, away_from, mixed_in, seen_beside, texts_beside, texts_of
from p2p.cohort.run import Blending
from p2p.errors import WrongTrajectory
from p2p.families.base import ModelFamily
from p2p.fresh_noise import starts
from p2p.plan import EditPlan
from p2p.preparation import Prepared
from p2p.samplers.base import Sampler
from p2p.trajectory import Trajectory, key_of


class KeptRun:
    """The `Run` of a job whose source is a trajectory: one that was generated before, or a photo that was inverted.

    Raises:
        WrongTrajectory: it is of another source.
    """

    def __init__(self, family: ModelFamily, sampler: Sampler, job: Prepared, trajectory: Trajectory) -> None:
        if trajectory.key != key_of(job.spec, family, sampler, trajectory.inverted):
            again = "generate it anew" if trajectory.inverted is None else "invert the picture anew"
            raise WrongTrajectory(f"the kept source was made otherwise (model, sampling or prompt): {again}")
        self.job, self.sampler, self.num_steps = job, sampler, sampler.num_steps
        self._trajectory = trajectory
        self._targets = len(job.spec.targets)
        self._blended = Blending(job, family.device)
        self._away = _away(job, trajectory)
        self._given: tuple[tuple[bool, int], Given] | None = None
        self._source = sampler.state(job.noise)
        self._latents = sampler.state(starts(job, trajectory.maps))
        self.rows = rows_of_kept(job)

    def asked(self, index: int) -> Asked:
        given = self._given_at(index)
        rows = torch.cat([self._source, self._latents]) if given.has_source else self._latents
        self._seen = self.sampler.seen(rows, index)
        seen = seen_beside(self.job, self._seen, len(rows) - self._targets)
        return Asked(given, index, self.sampler.timestep(index), seen)

    def _given_at(self, index: int) -> Given:
        # The same value for as long as it stays: layers keep what they made of its texts.
        wanted = carries(self.job.plan, index), index if len(self._away) > 1 else 0
        if self._given is None or self._given[0] != wanted:
            self._given = wanted, self._rows(*wanted)
        return self._given[1]

    def _rows(self, has_source: bool, place: int) -> Given:
        job, first = self.job, 1 if has_source else 0
        targets = tuple(range(first, first + self._targets))
        # The source's own prediction is not used, so it needs no unconditional row. Its scale is the job's all the
        # same: models that take the scale as an input make other queries and keys with another one.
        return Given(
            plan=job.plan,
            maps=job.maps,
            has_source=has_source,
            texts=[*texts_of(job)[1 - first :], *texts_beside(job)],
            unconditional=self._away[place : place + 1] * len(targets),
            guided=targets if self._away else (),
            guidance_scale=job.guidance_scale,
            mixed=mixed_in(job, first),
        )

    def step(self, prediction: Tensor, index: int) -> Tensor:
        first = len(self._seen) - self._targets
        seen, prediction = self._seen[first:], prediction[first : len(self._seen)]
        self._source = self._trajectory.latents[index : index + 1].to(self._latents)
        latents = self.sampler.step(
            prediction, index, self._latents, self.job.streams[1:], self._found(index), self._source
        )
        if self._trajectory.offset is not None:
            latents = latents + self._trajectory.offset[index : index + 1].to(latents)
        self._source = self._source.to(latents)
        pictures = self._blended(torch.cat([self._source, latents]), index)
        self._latents = pictures[1:]
        self._last = index, seen, prediction
        return pictures

    def clean(self) -> Tensor:
        """Of the source, the latents that it is known to end as."""
        index, seen, prediction = self._last
        targets = self.sampler.clean(seen, prediction, index)
        source = self._trajectory.latents[-1:].to(targets)
        return self._blended(torch.cat([source, targets]), index)

    def trajectory(self) -> Trajectory:
        return self._trajectory

    def _found(self, index: int) -> Tensor | None:
        """The noise that a photo's inversion found for a step; None if the sampler draws its own."""
        noise = self._trajectory.step_noise
        return None if self._trajectory.inverted is None or noise is None else noise[index : index + 1]


def _away(job: Prepared, trajectory: Trajectory) -> list[Text]:
    """The text that the targets are guided away from: one, or one for each step; empty if no row is guided."""
    found = job.unconditional
    if found is not None and trajectory.unconditional is not None:
        found = trajectory.unconditional.to(job.text.context)
    return [] if found is None else [away_from(job, row) for row in found.rows()]


def rows_of_kept(job: Prepared) -> int:
    """The most rows of a step: the targets, what they are guided away from, and the source where it is carried over."""
    targets = len(job.spec.targets)
    own = targets if job.unconditional is None else 2 * targets
    return own + len(job.beside) + any(carries(job.plan, index) for index in range(job.plan.steps))


def carries(plan: EditPlan, step: int) -> bool:
    """Whether anything of the source's attention is carried over at a step."""
    return bool(plan.cross.schedule[step].any() or plan.self_schedule[step].any())

"""A source that is generated beside its targets: all of them are rows of every step."""

from torch import Tensor

from p2p.cohort.given import Asked, Given, away_from, mixed_in, seen_beside, texts_beside, texts_of
from p2p.cohort.run import Blending
from p2p.families.base import ModelFamily
from p2p.preparation import Prepared
from p2p.samplers.base import Sampler
from p2p.trajectory import Keeper, Trajectory


class GeneratedRun:
    """The `Run` of a job whose source is generated.

    Args:
        keep: whether the source's run is noted for later edits.
    """

    def __init__(self, family: ModelFamily, sampler: Sampler, job: Prepared, *, keep: bool = False) -> None:
        self.job, self.sampler, self.num_steps = job, sampler, sampler.num_steps
        self._keeper = Keeper(job, family, sampler) if keep else None
        self._latents = sampler.state(job.noise.expand(len(job.prompts), -1, -1, -1))
        self._blended = Blending(job, family.device)
        rows = len(job.prompts)
        away = [] if job.unconditional is None else [away_from(job, job.unconditional)] * rows
        self._given = Given(
            plan=job.plan,
            maps=job.maps,
            has_source=True,
            texts=[*texts_of(job), *texts_beside(job)],
            unconditional=away,
            guided=tuple(range(rows)) if away else (),
            guidance_scale=job.guidance_scale,
            mixed=mixed_in(job, 1),
        )
        self.rows = self._given.rows

    def asked(self, index: int) -> Asked:
        self._seen = self.sampler.seen(self._latents, index)
        return Asked(self._given, index, self.sampler.timestep(index), seen_beside(self.job, self._seen, 1))

    def step(self, prediction: Tensor, index: int) -> Tensor:
        prediction = prediction[: len(self._latents)]
        latents = self.sampler.step(prediction, index, self._latents, self.job.streams)
        self._latents = self._blended(latents, index)
        self._last = index, self._seen, prediction
        if self._keeper is not None:
            self._keeper.keep(self._latents[0])
        return self._latents

    def clean(self) -> Tensor:
        index, seen, prediction = self._last
        return self._blended(self.sampler.clean(seen, prediction, index), index)

    def trajectory(self) -> Trajectory | None:
        return None if self._keeper is None else self._keeper.trajectory()

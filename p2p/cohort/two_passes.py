"""A source that runs before its edits, because what they start from depends on where its words act.

The source's own run comes first, by itself; then each edit runs as one of a kept source. Together that is as many rows
as a source beside its edits, and one pass more of the source's own.
"""

from dataclasses import replace

from torch import Tensor

from p2p.attention.maps import AttentionMaps
from p2p.cohort.generated import GeneratedRun
from p2p.cohort.given import Asked
from p2p.cohort.kept import KeptRun, rows_of_kept
from p2p.families.base import ModelFamily
from p2p.plan import EditPlan
from p2p.preparation import Prepared
from p2p.samplers.base import Sampler
from p2p.trajectory import Trajectory


class TwoPasses:
    """The `Run` of a job whose source is generated first.

    Args:
        first, second: a sampler of each pass, alike: schedulers keep a state from step to step.
        keep: whether the source's run is given to the caller.
    """

    def __init__(
        self, family: ModelFamily, first: Sampler, second: Sampler, job: Prepared, *, keep: bool = False
    ) -> None:
        self.job, self.sampler = job, second
        self.num_steps = first.num_steps + second.num_steps
        self._family, self._keep, self._steps = family, keep, first.num_steps
        self._source = GeneratedRun(family, first, _source_alone(job), keep=True)
        self._edits: KeptRun | None = None
        self.rows = max(self._source.rows, rows_of_kept(job))

    def asked(self, index: int) -> Asked:
        if index < self._steps:
            return self._source.asked(index)
        return self._second().asked(index - self._steps)

    def step(self, prediction: Tensor, index: int) -> Tensor:
        """Until the source's last step, every picture is the source."""
        if index < self._steps:
            return self._everywhere(self._source.step(prediction, index))
        return self._second().step(prediction, index - self._steps)

    def clean(self) -> Tensor:
        return self._everywhere(self._source.clean()) if self._edits is None else self._edits.clean()

    def trajectory(self) -> Trajectory | None:
        return self._second().trajectory() if self._keep else None

    def _second(self) -> KeptRun:
        if self._edits is None:
            found = self._source.trajectory()
            assert found is not None  # it is kept
            assert self.job.maps is not None  # a blend reads them
            job = replace(self.job, maps=AttentionMaps(self.job.maps.tokens, found.maps))
            self.job, self._edits = job, KeptRun(self._family, self.sampler, job, found)
        return self._edits

    def _everywhere(self, source: Tensor) -> Tensor:
        return source.expand(len(self.job.prompts), -1, -1, -1)


def _source_alone(job: Prepared) -> Prepared:
    """A job of the same source without targets; its stream of noise begins where the job's does."""
    text, *_ = job.text.rows()
    return replace(
        job,
        prompts=job.prompts[:1],
        plan=EditPlan.empty(job.plan.steps, 0, job.prompts[0].limit),
        text=text,
        streams=job.streams[:1],
        maps=AttentionMaps(),
        bounds=None,
        beside=(),
        texts_beside=(),
    )

"""A job in a cohort: where it is in its run, and what each step brings."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from p2p.cohort.given import Answer, Asked
from p2p.cohort.key import BatchKey
from p2p.cohort.run import Run
from p2p.families.base import DrawnFrom
from p2p.finite import FiniteWatch
from p2p.result import EditResult, outcome
from p2p.sampling import DenoisingStep


class Member:
    """One job of a cohort; a handle that is compared by identity.

    Attributes:
        run: its side of the loop.
        key: that it shares with its neighbours.
        rows: the most rows that it takes in any step.
        index: of its next step, from 0; `num_steps` once all are done.
        finishing: steps that making its pictures takes after that, of which `finished` are done.
        latents: of all its pictures after its last step, the source's first; None before the first.
        seconds: of the parts "encode", "denoise" and "decode" of its run, its neighbours' shares included.
    """

    def __init__(
        self, run: Run, key: BatchKey, loras: tuple[Mapping[str, Any], ...] = (), *, finishing: int = 0
    ) -> None:
        self.run, self.key, self._loras = run, key, loras
        self.index, self.num_steps, self.rows = 0, run.num_steps, run.rows
        self.finished, self.finishing = 0, finishing
        self.latents: Tensor | None = None
        self.seconds: dict[str, float] = {}
        self._watch = FiniteWatch("the latents")

    @property
    def is_denoised(self) -> bool:
        """Whether all its steps are done."""
        return self.index == self.num_steps

    @property
    def pictures(self) -> int:
        """How many pictures it makes."""
        return len(self.run.job.prompts)

    @property
    def drawn_from(self) -> list[DrawnFrom]:
        """Of each picture, what it is drawn from."""
        return self.run.job.drawn_from

    def asked(self) -> Asked:
        """Its next step."""
        self._asked = self.run.asked(self.index)
        return self._asked

    def took(self, answer: Answer) -> DenoisingStep:
        """Does its next step.

        Raises:
            NotFinite: its latents were not finite after some step; at once on the CPU, else as soon as the device has
                said so, and for certain at the last step.
        """
        maps, index = self._asked.given.maps, self.index
        if maps is not None and answer.maps is not None:
            maps.add_step(answer.maps)
        self.latents = self.run.step(answer.prediction, index)
        self.index += 1
        self._watch.note(self.latents)
        return DenoisingStep(index, self.num_steps, self.latents, self.run.clean, finishing=self.finishing)

    def finished_one(self) -> DenoisingStep:
        """Notes a step of finishing, as the last step of its run once more."""
        assert self.latents is not None
        # What failed for several members is done again in halves: then some steps come twice.
        self.finished = min(self.finished + 1, self.finishing)
        return DenoisingStep(
            self.index - 1, self.num_steps, self.latents, finished=self.finished, finishing=self.finishing
        )

    def require_finite(self) -> None:
        """Raises `NotFinite` if any latents were not finite, for certain: waits for the device."""
        self._watch.require()

    def spent(self, part: str, seconds: float) -> None:
        """Adds seconds to a part of its run."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds

    def result(self, pixels: Tensor) -> EditResult:
        """Its result, of its finished pictures."""
        assert self.latents is not None
        return outcome(
            self.run.job,
            self.latents,
            pixels,
            seconds=self.seconds,
            trajectory=self.run.trajectory(),
            scheduler=self.run.sampler.name,
            loras=self._loras,
        )

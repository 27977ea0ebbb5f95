"""A run with several rows for one picture: which becomes the picture is known after the last step."""

from torch import Tensor

from p2p.cohort.given import Asked
from p2p.cohort.presence import LOOKS, Presence, is_known
from p2p.cohort.run import Run
from p2p.preparation import Prepared
from p2p.room import chosen_rows, first_rows, kept_rows, of_rows
from p2p.rooms import ASKED_ABOUT
from p2p.spec import EditSpec
from p2p.trajectory import Trajectory


class TriedRun:
    """The `Run` of a spec with additions, by one of the spec with all its rows (`p2p.rooms`).

    After the last step the model looks at the rows that keep what is there, if noise hides its states. Until it has,
    the free row of each addition is shown.
    """

    def __init__(self, rows: Run, spec: EditSpec) -> None:
        self._rows, self._spec = rows, spec
        self._presence: Presence | None = None
        self._looked_at = [row for each in kept_rows(spec) for row in each]
        looks = LOOKS if is_known(rows.sampler, rows.job) else 0
        self.sampler, self.num_steps = rows.sampler, rows.num_steps + looks
        self.rows = max(rows.rows, ASKED_ABOUT * len(self._looked_at) if looks else 0)
        self._shown = [0, *first_rows(spec)]
        self.job: Prepared = of_rows(rows.job, spec, self._shown, ())

    def asked(self, index: int) -> Asked:
        look = index - self._rows.num_steps
        return self._rows.asked(index) if look < 0 else self._looking().asked(look)

    def step(self, prediction: Tensor, index: int) -> Tensor:
        look = index - self._rows.num_steps
        if look < 0:
            self._latents = self._rows.step(prediction, index)
        else:
            self._looking().took(prediction, look)
        if index + 1 == self.num_steps:
            shares = None if self._presence is None else self._presence.shares()
            self._shown, anew = chosen_rows(self._rows.job, self._spec, shares)
            self.job = of_rows(self._rows.job, self._spec, self._shown, anew)
        return self._latents[self._shown]

    def clean(self) -> Tensor:
        return self._rows.clean()[self._shown]

    def trajectory(self) -> Trajectory | None:
        return self._rows.trajectory()

    def _looking(self) -> Presence:
        if self._presence is None:
            self._presence = Presence(self.sampler, self._rows.job, self._looked_at, self._latents)
        return self._presence

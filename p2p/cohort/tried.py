"""A run with several rows for one picture: which becomes the picture is known after the last step."""

from torch import Tensor

from p2p.cohort.given import Asked
from p2p.cohort.run import Run
from p2p.preparation import Prepared
from p2p.room import chosen_rows, first_rows, of_rows
from p2p.spec import EditSpec
from p2p.trajectory import Trajectory


class TriedRun:
    """The `Run` of a spec with additions, by one of the spec with all its rows (`p2p.rooms`).

    Until the last step, the free row of each addition is shown.
    """

    def __init__(self, rows: Run, spec: EditSpec) -> None:
        self._rows, self._spec = rows, spec
        self.sampler, self.num_steps, self.rows = rows.sampler, rows.num_steps, rows.rows
        self._shown = [0, *first_rows(spec)]
        self.job: Prepared = of_rows(rows.job, spec, self._shown, ())

    def asked(self, index: int) -> Asked:
        return self._rows.asked(index)

    def step(self, prediction: Tensor, index: int) -> Tensor:
        latents = self._rows.step(prediction, index)
        if index + 1 == self.num_steps:
            self._shown, anew = chosen_rows(self._rows.job, self._spec)
            self.job = of_rows(self._rows.job, self._spec, self._shown, anew)
        return latents[self._shown]

    def clean(self) -> Tensor:
        return self._rows.clean()[self._shown]

    def trajectory(self) -> Trajectory | None:
        return self._rows.trajectory()

"""Which steps of a run something acts in."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from p2p.part import Part
from p2p.spec.complaints import invalid

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Bound = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class StepWindow(Part):
    """The part of the run in which something acts, half open: shares of the run, or numbers of steps."""

    start: Bound = 0.0
    stop: Bound = 1.0
    # Shares are coarse in few-step runs: 0.4 of 4 steps is either one step or two.
    unit: Literal["share", "steps"] = Field("share", description='"steps" counts steps from the noisiest, which is 0.')

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for field in ("start", "stop"):
            value = getattr(self, field)
            if self.unit == "share" and value > 1:
                message = f'{value:g} is beyond 1, the end of the run: shorten it, or count in "unit": "steps"'
                raise invalid([((field,), "window_outside_run", message)])
            if self.unit == "steps" and value != int(value):
                raise invalid([((field,), "window_not_whole", f"{value:g} is no whole number of steps: round it")])
        if self.stop < self.start:
            message = f"the window stops at {self.stop:g}, before its start {self.start:g}: swap them"
            raise invalid([((), "window_reversed", message)])
        return self

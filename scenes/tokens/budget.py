"""How long a training goes on, and how far it is: the learning rate follows from that."""

import math
import time


class Budget:
    """So many seconds from now, or so many steps in all.

    Args:
        seconds: for which a training goes on, after what earlier runs of it have spent.
        steps: up to which it goes on; the same from run to run, and on every machine.
    """

    def __init__(self, *, seconds: float | None = None, steps: int | None = None) -> None:
        if (seconds is None) == (steps is None):
            raise ValueError(f"a budget is either seconds or steps, not {seconds} and {steps}")
        self.seconds, self.steps = seconds, steps
        self.spent_before, self.began = 0.0, time.monotonic()

    def go_on(self, spent: float) -> None:
        """Counts what earlier runs of this training have spent, in seconds."""
        self.spent_before = spent

    @property
    def spent(self) -> float:
        """Seconds spent on this training, all runs together."""
        return self.spent_before + time.monotonic() - self.began

    def share(self, step: int) -> float:
        """The share of the budget that is used up before step `step`, from 0; the training ends at 1."""
        if self.steps is not None:
            return step / self.steps
        assert self.seconds is not None
        return self.spent / (self.spent_before + self.seconds)


def learning_rate(share: float, step: int, warm_up: int) -> float:
    """Of the peak: a linear warm-up of `warm_up` steps, times a cosine from 1 to 0 over the budget."""
    return min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))

"""Whose turn it is where one worker serves several models: fair, and without loading a model for every job.

A job of a model that is in memory goes before one whose model would have to be loaded; among equals goes the model
whose last turn is longest ago. A model that waits is passed over `PASSED_OVER` times at most. Then it goes next, so
between two of its turns lie at most `PASSED_OVER` jobs and one of each other model.
"""

from collections.abc import Sequence, Set

#: Jobs of other models that may go before a waiting one. A model of SDXL's size is loaded in about the time of a few of
#: its jobs: so with two models in turn in memory for one, most of the time goes into jobs.
PASSED_OVER = 8


class Turns:
    """The order between models. It keeps no jobs: each model's own order is that of its queue."""

    def __init__(self, models: Sequence[str], *, passed_over: int = PASSED_OVER) -> None:
        self._models, self._most = tuple(models), passed_over
        self._last = dict.fromkeys(self._models, 0)
        self._passed = dict.fromkeys(self._models, 0)
        self._waiting: frozenset[str] = frozenset()
        self._turn = 0

    def next(self, waiting: Set[str], loaded: Set[str]) -> str | None:
        """The model whose job goes next; None if no model waits.

        Args:
            waiting: models that have jobs and can be served.
            loaded: models in memory.
        """
        self._waiting = frozenset(waiting)
        for model in self._models:
            if model not in waiting:
                self._passed[model] = 0
        candidates = self._due(waiting) or waiting & loaded or waiting
        # Of models that had no turn yet the one that was named first.
        return min((model for model in self._models if model in candidates), key=self._last.__getitem__, default=None)

    def is_due(self, waiting: Set[str]) -> bool:
        """Whether one of these models has been passed over as often as may be. They wait from now on."""
        self._waiting |= waiting
        return bool(self._due(waiting))

    def _due(self, waiting: Set[str]) -> Set[str]:
        return {model for model in waiting if self._passed[model] >= self._most}

    def took(self, model: str) -> None:
        """A job of this model has been taken."""
        self._turn += 1
        self._last[model], self._passed[model] = self._turn, 0
        for other in self._waiting - {model}:
            self._passed[other] += 1

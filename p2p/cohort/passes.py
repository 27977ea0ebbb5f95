"""One step of all jobs in as few forward passes as fit into memory: one, unless it was too large before."""

import logging
from collections.abc import Sequence

import torch

from p2p.cohort.failures import halves, let_go, out_of_memory
from p2p.cohort.forward import ForwardPass, Processors
from p2p.cohort.given import Answer, Asked
from p2p.families.base import ModelFamily

log = logging.getLogger(__name__)


class Passes:
    """The forward passes of a cohort.

    A pass that fails is divided, and its parts do the same step. So an error ends with the one job whose error it is,
    and memory that is short costs time but no job.

    Attributes:
        most_rows: that a pass may have, after one of more did not fit into memory; None if all did.
    """

    def __init__(self, family: ModelFamily, processors: Processors | None = None) -> None:
        self._family, self._processors = family, processors
        self.forget()

    def forget(self) -> None:
        """Lets go of all layouts, and of the limit: other programs may have freed memory since."""
        self._passes: dict[int, ForwardPass] = {}  # by the number of their first job
        self.most_rows: int | None = None
        self._fitted = 0  # the most rows that a pass had without failing

    def answers(self, asked: Sequence[Asked]) -> list[Answer | Exception]:
        """The model's answer to each job, or the error that the job alone meets.

        Raises:
            torch.AcceleratorError: the device is lost, and all jobs with it.
        """
        found: list[Answer | Exception] = []
        passes: dict[int, ForwardPass] = {}
        while len(found) < len(asked):
            first = len(found)
            # With the same neighbours, a pass that begins with the same job keeps its layout.
            forward = passes[first] = self._passes.get(first) or ForwardPass(self._family, self._processors)
            found += self._tried(self._next(asked[first:]), forward)
        self._passes = passes
        return found

    def _next(self, asked: Sequence[Asked]) -> Sequence[Asked]:
        """As many of the jobs as one pass may have; at least one."""
        if self.most_rows is None:
            return asked
        count, rows = 1, asked[0].given.rows
        while count < len(asked) and rows + asked[count].given.rows <= self.most_rows:
            rows += asked[count].given.rows
            count += 1
        return asked[:count]

    def _tried(self, asked: Sequence[Asked], forward: ForwardPass) -> Sequence[Answer | Exception]:
        """The answers to jobs; none if they were too many, and the limit is lower now."""
        rows = sum(each.given.rows for each in asked)
        try:
            answers = forward(asked)
            self._fitted = max(self._fitted, rows)
            return answers
        except torch.AcceleratorError:
            raise
        except Exception as error:
            failure = let_go(error)
        # Outside the handler, so that what the failed pass held is free by now.
        if len(asked) == 1:
            return [failure]
        if out_of_memory(failure):
            self._lower(rows)
            return ()
        first, second = halves(asked)
        return [*self.answers(first), *self.answers(second)]

    def _lower(self, rows: int) -> None:
        if self._fitted >= rows:  # the memory was another one then
            self._fitted = 0
        self.most_rows = max(self._fitted, rows // 2)
        log.warning("%d rows do not fit into memory: at most %d in a forward pass", rows, self.most_rows)

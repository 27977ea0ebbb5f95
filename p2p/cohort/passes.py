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

    A pass that fails is split, and its halves do the same step. So an error ends with the one job whose error it is,
    and memory that is short costs time but no job.

    Attributes:
        most_rows: that a pass may have, after one of more did not fit into memory; None if all did.
    """

    def __init__(self, family: ModelFamily, processors: Processors | None = None) -> None:
        self._family, self._processors = family, processors
        self._passes: list[ForwardPass] = []
        self.most_rows: int | None = None

    def answers(self, asked: Sequence[Asked]) -> list[Answer | Exception]:
        """The model's answer to each job, or the error that the job alone meets.

        Raises:
            torch.AcceleratorError: the device is lost, and all jobs with it.
        """
        found: list[Answer | Exception] = []
        while len(found) < len(asked):  # the limit may fall on the way
            together = self._next(asked[len(found) :])
            found += self._tried(together, self._pass(len(found)))
        return found

    def forget(self) -> None:
        """Lets go of all layouts, and of the limit: the memory may be another's loss no more."""
        self._passes, self.most_rows = [], None

    def _next(self, asked: Sequence[Asked]) -> Sequence[Asked]:
        """As many of the jobs as one pass may have; at least one."""
        if self.most_rows is None:
            return asked
        count, rows = 1, asked[0].given.rows
        while count < len(asked) and rows + asked[count].given.rows <= self.most_rows:
            rows += asked[count].given.rows
            count += 1
        return asked[:count]

    def _pass(self, number: int) -> ForwardPass:
        """The pass that begins with a job of this number: with the same neighbours it keeps its layout."""
        while len(self._passes) <= number:
            self._passes.append(ForwardPass(self._family, self._processors))
        return self._passes[number]

    def _tried(self, asked: Sequence[Asked], forward: ForwardPass) -> list[Answer | Exception]:
        try:
            return list(forward(asked))
        except torch.AcceleratorError:
            raise
        except Exception as error:
            failure = let_go(error)
        # Outside the handler, so that what the failed pass held is free by now.
        if len(asked) == 1:
            return [failure]
        rows = sum(each.given.rows for each in asked)
        if out_of_memory(failure):
            self.most_rows = max(1, rows // 2)
            log.warning("%d rows of %d jobs do not fit into memory: %d a pass", rows, len(asked), self.most_rows)
        first, second = halves(asked)
        return [*self._tried(first, forward), *self._tried(second, forward)]

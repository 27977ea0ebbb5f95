"""The models of one worker that are in memory: brought when they are needed, the least recently used leave first.

What a model occupies is its weights and their packed copies (`p2p.families.occupied`). What a run needs comes on top.
"""

import gc
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from process import metrics
from worker.engine import Engine
from worker.lease import end_process

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Resident:
    """A model in memory.

    Attributes:
        size: bytes that it occupies now.
    """

    engine: Engine
    size: Callable[[], int]


class Residents:
    """The models in memory, within a budget.

    Args:
        load: brings a model into memory; raises where it cannot.
        budget: bytes that all may occupy together; None for any number. A model alone is never refused for it.
        expected: bytes that a model will occupy at least, where that is known before it is loaded.
        give_up: ends the process; called where the device is lost.
    """

    def __init__(
        self,
        load: Callable[[str], Resident],
        *,
        budget: int | None = None,
        expected: Mapping[str, int] | None = None,
        give_up: Callable[[], None] = end_process,
    ) -> None:
        self._load, self._budget, self._give_up = load, budget, give_up
        self._expected = dict(expected or {})
        self._residents: dict[str, Resident] = {}  # the least recently used first

    @property
    def loaded(self) -> frozenset[str]:
        """The models in memory."""
        return frozenset(self._residents)

    def engine(self, model: str) -> Engine:
        """The engine of a model in memory, which is used now."""
        resident = self._residents[model] = self._residents.pop(model)
        return resident.engine

    def bring(self, model: str) -> None:
        """Load a model; others leave first where it would not fit beside them.

        Raises:
            Exception: whatever keeps it from being loaded. Nothing of it stays in memory.
        """
        if model in self._residents:
            return
        self._leave_until(self._expected.get(model, 0))
        began = time.monotonic()
        resident = self._loaded_alone_if_need_be(model)
        metrics.MODEL_LOADS.labels(model, "loaded").inc()
        metrics.MODEL_LOAD_SECONDS.labels(model).observe(time.monotonic() - began)
        self._residents[model] = resident
        # What it occupies is known only now. The packed copies are made by its first run, after this.
        self._leave_until(0, but=model)
        self._expected[model] = resident.size()
        metrics.model_loaded(model, self._expected[model])
        if self._budget is not None and self._expected[model] > self._budget:
            log.warning(
                "model %s occupies %d bytes, and WORKER_MEMORY is %d: it is served alone",
                model,
                self._expected[model],
                self._budget,
            )

    def leave_alone(self, model: str) -> bool:
        """Have all other models leave; says whether there was any."""
        others = [each for each in self._residents if each != model]
        for other in others:
            self._leave(other)
        return bool(others)

    def _loaded_alone_if_need_be(self, model: str) -> Resident:
        try:
            if resident := self._tried(model):
                return resident
            log.warning("model %s does not fit into memory beside the others, which leave", model)
            self.leave_alone(model)
            return self._load(model)
        except torch.AcceleratorError:
            log.critical("model %s: the device is lost; this process ends", model, exc_info=True)
            self._give_up()
            raise
        except Exception:
            metrics.MODEL_LOADS.labels(model, "failed").inc()
            raise

    def _tried(self, model: str) -> Resident | None:
        """The model; None if memory was too small for it and others can leave."""
        try:
            return self._load(model)
        except (MemoryError, torch.OutOfMemoryError):
            if not self._residents:
                raise
        return None

    def _leave_until(self, room: int, *, but: str | None = None) -> None:
        """Have models leave until so many bytes are free within the budget, or none is left that may leave."""
        if self._budget is None:
            return
        for other in [each for each in self._residents if each != but]:
            if sum(resident.size() for resident in self._residents.values()) + room <= self._budget:
                return
            self._leave(other)

    def _leave(self, model: str) -> None:
        del self._residents[model]
        # A model's parts refer to each other: without this they would stay until Python happens to look.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        metrics.model_left(model)
        log.info("%s has left memory", model)

"""Which queue a worker's next message is taken from. The one place that decides it; RQ then moves the message.

A worker gives RQ one queue at a time, because RQ moves a message from one queue and pops it from several; a message
that is popped is lost with its worker. What takes more of one model's jobs beside the first begins where a `Taking` is
told that a message `took` place (`worker.table`): each job that joins counts as a turn of its model.

Of several models, one is loaded before its message is taken, never after. So a job whose model cannot be loaded, or
whose worker is killed meanwhile, has not left its queue, and another worker can take it.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Protocol

import redis

from worker.pulse import pulse
from worker.turns import Turns

log = logging.getLogger(__name__)

#: Seconds until it looks for a message again that it did not hear of.
TURN = 1
#: Seconds that a worker waits before it loads a model: one that has it in memory takes the message meanwhile.
OTHERS_FIRST = 0.2
#: Seconds until a model that another worker loads is looked at again.
CLAIMED = 1.0
#: Seconds until a model that could not be loaded is tried again: files may have been mended, memory may be free.
FAILED = 60.0


class Taking(Protocol):
    """The queues of a worker."""

    @property
    def models(self) -> Sequence[str]:
        """Whose queues they are."""

    @property
    def served(self) -> Set[str]:
        """Those of them that this worker can serve, as far as is known."""

    @property
    def may_block(self) -> bool:
        """Whether RQ may wait in the queue that is ready, because there is no other one."""

    def ready(self, beat: Callable[[], None]) -> str | None:
        """The model from whose queue the next message is to be moved; None if no queue has one.

        Args:
            beat: gives a sign of life; called while a model is loaded.
        """

    def took(self, model: str) -> None:
        """A job of this model is worked off: its message was moved, or it joins those that run."""

    def may_join(self, model: str) -> bool:
        """Whether a job of the model that runs may join now: no other model has waited for long enough."""

    def wait(self, seconds: float) -> None:
        """Until it is worth looking again, or the time is over."""


class OneModel:
    """`Taking` of a worker with one model, which is in memory."""

    may_block = True

    def __init__(self, model: str) -> None:
        self.models, self.served = (model,), frozenset({model})

    def ready(self, beat: Callable[[], None]) -> str | None:
        return self.models[0]

    def took(self, model: str) -> None:
        """The only one there is."""

    def may_join(self, model: str) -> bool:
        return True

    def wait(self, seconds: float) -> None:
        """RQ waits."""


class Queues(Protocol):
    """What is asked of the queues (`jobs.redis.several_queues`)."""

    def waiting(self) -> frozenset[str]: ...

    def wait(self, seconds: float) -> None: ...

    def claim(self, model: str) -> bool: ...

    def renew(self, model: str) -> None: ...

    def release(self, model: str) -> None:
        """Never raises: a claim that is not released runs out."""


class Memory(Protocol):
    """What is asked of the models in memory (`worker.residents`)."""

    @property
    def loaded(self) -> frozenset[str]: ...

    def bring(self, model: str) -> None: ...


class SeveralModels:
    """`Taking` of a worker with several models, which are loaded when they are needed.

    Args:
        limits: by model, seconds that loading it may take before the worker no longer counts as alive.
        post: makes a model the one that jobs run on; with None no model is, and none is held in memory by it.
    """

    may_block = False

    def __init__(
        self,
        limits: Mapping[str, float],
        queues: Queues,
        memory: Memory,
        post: Callable[[str | None], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.models, self._limits = tuple(limits), limits
        self._queues, self._memory, self._post = queues, memory, post
        self._clock, self._pause = clock, pause
        self._turns = Turns(self.models)
        self._barred: dict[str, float] = {}  # until when
        self._failing: set[str] = set()

    @property
    def served(self) -> Set[str]:
        return frozenset(self.models) - self._failing

    def ready(self, beat: Callable[[], None]) -> str | None:
        model = self._turns.next(self._possible(), self._memory.loaded)
        if model is None or model in self._memory.loaded:
            return model
        self._pause(OTHERS_FIRST)
        if model in self._possible() and self._brought(model, beat):
            return model
        return None

    def took(self, model: str) -> None:
        self._turns.took(model)
        self._post(model)

    def may_join(self, model: str) -> bool:
        try:
            return not self._turns.is_due(self._possible() - {model})
        except redis.RedisError:
            return False

    def wait(self, seconds: float) -> None:
        if not self._possible():
            self._queues.wait(seconds)

    def _possible(self) -> Set[str]:
        """Models with messages that may be taken now."""
        now = self._clock()
        return {model for model in self._queues.waiting() if self._barred.get(model, now) <= now}

    def _brought(self, model: str, beat: Callable[[], None]) -> bool:
        """Whether a model is in memory now. Where it cannot be loaded, its jobs stay where they are."""
        if not self._queues.claim(model):
            self._barred[model] = self._clock() + CLAIMED
            return False

        def alive() -> None:
            beat()
            self._queues.renew(model)

        self._post(None)
        try:
            with pulse(alive, limit=self._limits[model]):
                self._memory.bring(model)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            log.error(
                "model %s cannot be loaded: %s; its jobs stay in their queue, and this worker tries again in %g s",
                model,
                reason,
                FAILED,
                exc_info=True,
            )
            self._failing.add(model)
            self._barred[model] = self._clock() + FAILED
            return False
        else:
            self._failing.discard(model)
            return True
        finally:
            self._queues.release(model)

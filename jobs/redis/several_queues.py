"""What a worker of several models asks of their queues: which have messages, and when a new one comes.

Redis can wait at several lists, but only to take from them what it then gives to a client that may be dead already.
So such a worker looks which lists have messages, and moves one message out of one list, as RQ does it for one queue.
In between it waits for the notice that `lua/push.lua` publishes with every message.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import redis

from jobs.redis import keys
from jobs.redis.message import list_of

log = logging.getLogger(__name__)

#: Seconds for which a model stays claimed after the last sign of life of the worker that loads it.
CLAIM = 15


class SeveralQueues:
    """The queues of some models.

    Args:
        client: must not decode responses.
        holder: a name for this worker, of its own.
    """

    def __init__(self, client: redis.Redis, models: Sequence[str], holder: str) -> None:
        self._client, self._models, self._holder = client, tuple(models), holder.encode()
        self._notices: redis.client.PubSub | None = None
        self._is_deaf = False

    def waiting(self) -> frozenset[str]:
        """The models in whose queues there are messages."""
        with self._client.pipeline(transaction=False) as commands:
            for model in self._models:
                commands.llen(list_of(model))
            return frozenset(model for model, length in zip(self._models, commands.execute(), strict=True) if length)

    def wait(self, seconds: float) -> None:
        """Until a message has come into one of the queues since the last call, or the time is over."""
        began = time.monotonic()
        try:
            if self._notices is None:
                notices = self._client.pubsub(ignore_subscribe_messages=True)
                notices.subscribe(*map(list_of, self._models))
                self._notices = notices
            while (left := began + seconds - time.monotonic()) > 0:
                if self._notices.get_message(timeout=left) is not None:
                    while self._notices.get_message(timeout=0) is not None:
                        pass  # one look at the queues answers all that have come
                    self._is_deaf = False
                    return
        except redis.RedisError as error:
            if not self._is_deaf:
                log.warning("new messages are not heard, and are looked for every %g s: %s", seconds, error)
            self._is_deaf = True
            self._hear_anew()
            time.sleep(max(0.0, began + seconds - time.monotonic()))

    def _hear_anew(self) -> None:
        """The next wait subscribes again, over a connection of its own."""
        notices, self._notices = self._notices, None
        if notices is not None:
            notices.close()

    def claim(self, model: str) -> bool:
        """Whether this worker may load a model now: one worker at a time does, or a single job would have all load."""
        taken = self._client.set(keys.loading(model), self._holder, nx=True, ex=CLAIM)
        return bool(taken) or self._client.get(keys.loading(model)) == self._holder

    def renew(self, model: str) -> None:
        """This worker is still loading the model that it claimed."""
        self._client.expire(keys.loading(model), CLAIM)

    def release(self, model: str) -> None:
        """Others may load the model."""
        # Between the two commands the claim can run out and be another worker's: then two load, which does no harm.
        # Where Redis does not answer, the claim runs out by itself.
        with suppress(redis.RedisError):
            if cast(bytes | None, self._client.get(keys.loading(model))) == self._holder:
                self._client.delete(keys.loading(model))

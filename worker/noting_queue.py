"""RQ's queue, from which a worker takes a message and writes down what it did before, in one message to Redis."""

import redis
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.intermediate_queue import IntermediateQueue

from jobs.redis.notes import Notes


class NotingQueue(Queue):
    """A queue whose next message is asked for in one message to Redis with what the worker has to note."""

    notes: Notes

    @classmethod
    def lmove(cls, connection: redis.Redis, queue_key: str, timeout: int | None) -> tuple[str, bytes] | None:
        """Move a message to those that workers have taken; raises `DequeueTimeout` where none comes in time."""
        move = (queue_key, IntermediateQueue(queue_key, connection).key, "LEFT", "RIGHT")
        command = ("LMOVE", *move) if timeout is None else ("BLMOVE", *move, timeout)
        (moved,) = cls.notes.sent_with(connection, [command])
        if moved is not None:
            return queue_key, moved
        if timeout is not None:
            raise DequeueTimeout(timeout, queue_key)
        return None

"""The only message that a worker acts on: one that calls `worker.tasks.run_edit` with a job's id.

RQ imports and calls any function that a message names, and any callback, and calls any webhook in it. So anyone who
can write to Redis could run code in a worker. Here the message's data decides nothing but which job is run.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, cast

from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.job import Job as RqJob
from rq.job import parse_job_id
from rq.suspension import WORKERS_SUSPENDED

from jobs.redis import keys
from jobs.redis.message import TASK, job_of

log = logging.getLogger(__name__)


class ForeignMessage(Exception):
    """A message asks for something else than one edit; it is refused, and the worker goes on."""


class EditMessage(RqJob):
    """A message as RQ reads it, which can call nothing but `run_edit`.

    Attributes:
        record: of the job that the message is named for, as it was read with the message; None if there is none.
        is_suspended: whether workers were to take no messages then (`rq suspend`).
    """

    record: Mapping[str, str] | None = None
    is_suspended = False

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Self:
        """The message and its job's record, read in one round trip; raises `NoSuchJobError` where it has gone."""
        assert connection is not None
        message = cls(parse_job_id(id), connection=connection, serializer=serializer)
        with connection.pipeline(transaction=False) as commands:
            commands.hgetall(message.key)
            commands.hgetall(keys.record(job_of(id)))
            commands.exists(WORKERS_SUSPENDED)
            fields, record, suspended = commands.execute(raise_on_error=False)
        if isinstance(fields, Exception):
            raise fields
        if not fields:
            raise NoSuchJobError(f"there is no message {message.key}")
        message.restore(fields)
        message.is_suspended = suspended != 0  # an error says nothing: the worker asks by itself
        with suppress(AttributeError, UnicodeDecodeError):  # an error, or no text: who begins the job reads it anew
            message.record = {name.decode(): value.decode() for name, value in cast(Mapping, record).items()} or None
        return message

    @property
    def func(self) -> Callable[[str], None]:
        """`run_edit`, if that is what the message calls.

        Raises:
            ForeignMessage: another function, an object's method, or other arguments than one job id.
        """
        arguments = self.args
        one_id = isinstance(arguments, Sequence) and len(arguments) == 1 and isinstance(arguments[0], str)
        if self.func_name != TASK or self.instance is not None or not one_id or self.kwargs:
            log.error("message %s refused: it calls %.200r, and a worker runs only %s", self.id, self.func_name, TASK)
            raise ForeignMessage(f"it calls {self.func_name!r:.200}; a worker runs only {TASK} with one job id")
        return super().func  # imports it: not before, for torch comes with it

    # Our messages have none of these. RQ would import the callbacks by name, and post to the webhooks.
    @property
    def success_callback(self) -> None:
        return None

    @property
    def failure_callback(self) -> None:
        return None

    @property
    def stopped_callback(self) -> None:
        return None

    @property
    def webhooks(self) -> list:
        return []

    @webhooks.setter
    def webhooks(self, _: list) -> None:
        """RQ sets what a message names; it is dropped."""

    # Nor is it tried again by RQ: the record decides that. A refused message would come back without end.
    @property
    def retries_left(self) -> None:
        return None

    @retries_left.setter
    def retries_left(self, _: int | None) -> None:
        """RQ sets what a message says; it is dropped."""

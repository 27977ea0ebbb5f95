"""What RQ carries: a job's id, as JSON, in a hash that RQ's own worker reads.

The scripts that change a record write its message too, so that no job waits without one because a process died between
the two. RQ says once what such a hash holds; `tests/contract/test_rq.py` holds ours equal to what RQ would write.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from secrets import token_hex

import redis
from rq.job import Job as RqJob
from rq.job import JobStatus as RqStatus
from rq.serializers import JSONSerializer

#: A name, not a function: the service must be able to ask for work it cannot import.
TASK = "worker.tasks.run_edit"
#: Seconds RQ keeps a message that was worked off, and one whose worker raised: the record says how the job ended, so
#: the first not at all, the second for people who look why. RQ's own defaults are 500 s and a year.
RESULT_TTL, FAILURE_TTL = 0, 3600
#: Seconds RQ keeps a message that nobody takes. One that goes while its job still waits is sent again by the reaper.
MESSAGE_TTL = 7 * 86_400
#: Seconds after which RQ calls a started message abandoned. Nothing interrupts a job at this point.
MESSAGE_TIMEOUT = 3600
#: Where RQ keeps the names of all queues.
QUEUES = "rq:queues"


#: Fields that each message has of its own.
_OWN = frozenset({"created_at", "enqueued_at", "data", "description", "origin"})


@dataclass(frozen=True)
class Message:
    """One message about a job: each has an id of its own, so that RQ's tidying up after one touches no other."""

    id: str
    model: str
    fields: Sequence[str]

    @property
    def hash(self) -> str:
        """The key of its hash."""
        return hash_of(self.id)

    @property
    def list(self) -> str:
        """The key of the queue it stands in."""
        return list_of(self.model)


def message_about(job_id: str, model: str) -> Message:
    """A new message about a job."""
    # As RQ's `utcformat` writes it, in a tenth of its time.
    at = f"{datetime.now(UTC).isoformat(timespec='microseconds')[:-6]}Z"
    fields = [
        *_template(),
        *("created_at", at),
        *("enqueued_at", at),
        # As RQ writes a call: function, instance, arguments, keyword arguments. It would pack it, and reads both.
        *("data", f'["{TASK}", null, ["{job_id}"], {{}}]'),
        *("description", f"{TASK}({job_id})"),
        *("origin", queue_name(model)),
    ]
    return Message(f"{job_id}-{token_hex(4)}", model, fields)


@cache
def _template() -> Sequence[str]:
    """What all messages have in common, as RQ writes it; without what is empty, which RQ reads alike."""
    made = RqJob.create(
        TASK,
        args=(),
        connection=redis.Redis(),  # never asked for anything
        timeout=MESSAGE_TIMEOUT,
        ttl=MESSAGE_TTL,
        result_ttl=RESULT_TTL,
        failure_ttl=FAILURE_TTL,
        status=RqStatus.QUEUED,
        serializer=JSONSerializer,
    )
    fields = {name: str(getattr(value, "value", value)) for name, value in made.to_dict().items() if name not in _OWN}
    return [part for name, value in fields.items() if value for part in (name, value)]


def job_of(message_id: str) -> str:
    """The job that a message is about."""
    return message_id.rpartition("-")[0]


def queue_name(model: str) -> str:
    """The queue that a model's workers listen on."""
    return f"edits:{model}"


def list_of(model: str) -> str:
    """The key of a model's queue."""
    return f"rq:queue:{queue_name(model)}"


def hash_of(message_id: str) -> str:
    """The key of a message's hash."""
    return f"rq:job:{message_id}"

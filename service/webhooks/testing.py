"""The in-memory twin of the delivery log, for unit tests."""

from collections import defaultdict
from datetime import UTC, datetime

from service.jobs.model import Job
from service.webhooks.deliveries import Attempt


class InMemoryDeliveries:
    """`Deliveries` over dictionaries; nothing is ever sent.

    Attributes:
        logs: the attempts of each job.
        due: when a job's next attempt is.
    """

    def __init__(self) -> None:
        self.logs: dict[str, list[Attempt]] = defaultdict(list)
        self.due: dict[str, datetime] = {}

    async def attempts(self, job: Job) -> tuple[Attempt, ...]:
        return tuple(self.logs[job.id])

    async def next_at(self, job: Job) -> datetime | None:
        return self.due.get(job.id)

    async def send_again(self, job: Job) -> None:
        self.due[job.id] = datetime.now(UTC)

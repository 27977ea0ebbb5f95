"""The in-memory twin of the delivery log, for unit tests."""

from collections import defaultdict
from datetime import UTC, datetime

from jobs.batches import Batch
from jobs.model import Job
from webhooks.deliveries import Attempt


class InMemoryDeliveries:
    """`Deliveries` over dictionaries; nothing is ever sent.

    Attributes:
        logs: the attempts of each job and batch, by its subject.
        due: when the next attempt is.
    """

    def __init__(self) -> None:
        self.logs: dict[str, list[Attempt]] = defaultdict(list)
        self.due: dict[str, datetime] = {}

    async def attempts(self, of: Job | Batch) -> tuple[Attempt, ...]:
        return tuple(self.logs[of.subject])

    async def next_at(self, of: Job | Batch) -> datetime | None:
        return self.due.get(of.subject)

    async def send_again(self, of: Job | Batch) -> None:
        self.due[of.subject] = datetime.now(UTC)

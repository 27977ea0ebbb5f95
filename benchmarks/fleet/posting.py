"""Edits as the API admits them, by its own code and over its own client."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import count

from benchmarks.fleet.ground import NAME
from benchmarks.fleet.stand_in import MODEL, STEPS
from jobs.admission import Admission
from jobs.model import Job, new_job
from jobs.redis.store import AsyncRedisJobStore
from p2p.spec import EditSpec
from service.connections import redis_client

SPEC = EditSpec.model_validate(
    {
        "model": MODEL,
        "source": {"prompt": "a cat on the beach"},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
        "sampling": {"steps": STEPS, "height": 64, "width": 64, "guidance_scale": 3.0},
        "artifacts": {"heatmaps": False},
    }
)


def job_of(owner: str) -> Job:
    """A new job of a key."""
    return new_job(SPEC, lifetime=timedelta(hours=1), owner=owner)


class Posting:
    """Posts edits to a Redis, an async context manager.

    Attributes:
        accepted: ids of the jobs that were.
    """

    def __init__(self, url: str) -> None:
        self._client = redis_client(f"{url}?client_name={NAME}", decode_responses=True)
        self._store = AsyncRedisJobStore(self._client)
        self.accepted: list[str] = []

    async def __aenter__(self) -> "Posting":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def post(self, jobs: Sequence[Job]) -> float:
        """Have jobs of one key admitted; gives the seconds that it took."""
        began = time.perf_counter()
        admitted = await self._store.admit(Admission(jobs=jobs))
        seconds = time.perf_counter() - began
        self.accepted += admitted.job_ids
        return seconds

    async def paced(self, owners: Sequence[str], rate: float, seconds: float) -> None:
        """Post so many edits a second, of keys in turn."""
        loop = asyncio.get_running_loop()
        began, asked = loop.time(), set[asyncio.Task[float]]()
        for number in count():
            due = number / rate
            if due > seconds:
                break
            await asyncio.sleep(max(0.0, began + due - loop.time()))
            task = asyncio.create_task(self.post([job_of(owners[number % len(owners)])]))
            asked.add(task)
            task.add_done_callback(asked.discard)
        await asyncio.gather(*asked)

"""A world whose Redis fails over: a primary, a replica that must have each write, and three Sentinels.

So edits are accepted again once the killed server is back as a replica, which its supervisor sees to. A second replica,
of which either one must have a write, would not do: Sentinels on a busy machine promote one beside a primary that
lives, and what the other one still acknowledges to that is lost.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx

from benchmarks.recovery.failing_over import FailingOver
from benchmarks.recovery.world import EDIT, PACE, World
from stack.patience import PATIENCE
from stack.ports import free_port


@dataclass
class FailingOverWorld(World):
    """A world over Sentinels. What it counts as sent twice is two ends of one job that were sent by webhook.

    What is read of the primary's outbox may be lost with it, and is then no end.
    """

    def __post_init__(self) -> None:
        self.servers = FailingOver(self.folder / "servers", ports=(self.redis_port, free_port()))
        self.environment = {**self.environment, "REDIS_URL": self.servers.url, "REDIS_REPLICAS": "1"}
        super().__post_init__()
        self.redis_url = self.servers.url

    @asynccontextmanager
    async def _redis(self) -> AsyncIterator[None]:
        self.servers.folder.mkdir(exist_ok=True)
        try:
            await asyncio.to_thread(self.servers.start)
            yield
        finally:
            self.servers.stop()

    async def _watch_outbox(self) -> None:
        """See the class."""

    def told(self, job: str, body: bytes) -> None:
        super().told(job, body)
        self.entries[job] = {str(hash(said)) for said in self.bodies[job]}

    async def submit(self) -> str | None:
        """The id of an edit, sent under one name until it is accepted, as a careful client does."""
        headers = {"Idempotency-Key": uuid4().hex}
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    response = await self.api.post("/v1/edits", json=EDIT, headers=headers)
                except httpx.HTTPError:
                    continue
                if response.status_code == 202:
                    return self.took(response.json()["id"])
                await asyncio.sleep(PACE)

    async def kill_primary(self) -> int:
        """Kill the primary, noting it; gives its port."""
        port = await asyncio.to_thread(self.servers.primary)
        victim = self.servers.processes[port].pid
        self.journal.write("kill", point="failover", job=None, victim=victim)
        await asyncio.to_thread(self.servers.kill, port)
        return port

    async def failed_over(self, killed: int) -> None:
        """Wait until there is another primary, and start the killed server again, as its replica."""
        await asyncio.to_thread(self.servers.fail_over_from, killed)

    async def whole(self) -> None:
        """Wait until the next failover is possible."""
        await asyncio.to_thread(self.servers.wait_until_whole)

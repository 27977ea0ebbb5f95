"""Clients of several keys that post through the router as long as they are let, and what became of each edit."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import httpx

from benchmarks.cells.cell import LOOK, MODEL
from stack.patience import ANSWER, PATIENCE

#: Edits of a key under way at once. Of each key, because those of one whose cell is away wait for it.
AT_ONCE = 2
ENDS = frozenset({"succeeded", "failed", "canceled", "expired"})


@dataclass
class Load:
    """The load.

    Attributes:
        keys: API keys, which post in turns.
        hook: where webhooks are to be sent.
        accepted: by each edit's id, the key that posted it.
        told: by each edit's id, the ids of the webhooks that told its end.
        refused: how often the router answered 503, by code.
    """

    url: str
    keys: Sequence[str]
    hook: str
    accepted: dict[str, str] = field(default_factory=dict)
    told: dict[str, set[str]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    def body(self) -> dict[str, Any]:
        return {
            "model": MODEL,
            "source": {"prompt": "a cat on the beach"},
            "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
            "sampling": {"steps": 4},
            "artifacts": {"heatmaps": False},
            "webhook": {"url": self.hook},
        }

    async def post_on(self, over: asyncio.Event) -> None:
        """Post until it is over; what is on its way then is posted until it is accepted."""
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=ANSWER, limits=limits, trust_env=False) as client,
            asyncio.TaskGroup() as clients,
        ):
            for key in [*self.keys] * AT_ONCE:
                clients.create_task(self._post_one_by_one(client, key, over))

    async def _post_one_by_one(self, client: httpx.AsyncClient, key: str, over: asyncio.Event) -> None:
        while not over.is_set():
            edit = await self._post(client, key)
            while edit not in self.told and not over.is_set():
                await asyncio.sleep(LOOK)

    async def _post(self, client: httpx.AsyncClient, key: str) -> str:
        """One edit, sent again under its name until it is accepted; its id."""
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": token_hex(8)}
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await client.post("/v1/edits", json=self.body(), headers=headers)
                if answer.status_code == 202:
                    edit = answer.json()["id"]
                    self.accepted[edit] = key
                    return edit
                if answer.status_code != 503:
                    raise RuntimeError(f"{answer.status_code}: {answer.text}")
                self.refused[answer.json()["code"]] += 1
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))

    async def more(self, number: int, cell: str = "") -> None:
        """Wait until so many more edits are accepted, by one cell where it is named."""

        def count() -> int:
            return sum(edit.startswith(f"{cell}-" if cell else "") for edit in list(self.accepted))

        before = count()
        async with asyncio.timeout(PATIENCE):
            while count() < before + number:
                await asyncio.sleep(LOOK)

    async def settled(self) -> None:
        """Wait until the webhook of every accepted edit has come, or `PATIENCE` is over."""
        try:
            async with asyncio.timeout(PATIENCE):
                while self.accepted.keys() - self.told.keys():
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            return

    async def verdict(self) -> dict[str, int]:
        """What became of all accepted edits, asked through the router."""
        found = dict.fromkeys(("ended", "succeeded", "lost", "published_twice", "told_twice"), 0)
        async with httpx.AsyncClient(base_url=self.url, timeout=ANSWER, trust_env=False) as client:
            for edit, key in self.accepted.items():
                headers = {"Authorization": f"Bearer {key}"}
                job = (await client.get(f"/v1/edits/{edit}", headers=headers)).json()
                events = (await client.get(f"/v1/edits/{edit}/events", headers=headers)).text.splitlines()
                ends = sum(line.removeprefix("event: ") in ENDS for line in events)
                pictures = [(await client.get(each["url"])).is_success for each in job.get("artifacts", ())]
                ended = job.get("status") in ENDS
                found["ended"] += ended
                found["succeeded"] += job.get("status") == "succeeded"
                whole = ended and edit in self.told and all(pictures) and (pictures or job["status"] != "succeeded")
                found["lost"] += not whole
                found["published_twice"] += ends > 1
                found["told_twice"] += len(self.told.get(edit, ())) > 1
        return found

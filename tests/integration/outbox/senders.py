"""Senders within the tests' own process, ends for them to send, and what is left of one."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import redis.asyncio

from jobs import moves
from jobs.batches import RedisBatches
from jobs.model import ANYBODY, Job, Webhook, new_job
from jobs.redis import keys
from jobs.redis.store import AsyncRedisJobStore, RedisJobStore
from outbox.__main__ import Sender
from outbox.due_list import Outbox
from process.addresses import GuardedTransport, client_to
from process.lookups import Resolve, resolved
from tests.edits import CAT_TO_DOG
from tests.patience import ANSWER, PATIENCE
from webhooks import schedule
from webhooks.deliveries import Attempt
from webhooks.secrets import SecretsOf

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
ALWAYS = (0,) * len(schedule.SCHEDULE)


def ended(client, url: str | None = None, *, owner: str = ANYBODY, **how) -> Job:
    """A job that has ended, with a webhook where a URL is given."""
    webhook = None if url is None else Webhook(url=url, **how)
    store = RedisJobStore(client)
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1), traceparent=TRACE, webhook=webhook, owner=owner)
    store.create(job)
    return store.make(moves.cancel(job))


class Senders:
    """Makes senders; what is done with them is done in one event loop."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url, self._parts = redis_url, AsyncExitStack()

    async def __aenter__(self) -> "Senders":
        self.client = await self._parts.enter_async_context(
            redis.asyncio.Redis.from_url(self._redis_url, decode_responses=True)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._parts.aclose()

    async def one(
        self,
        url: str = "",
        *,
        secrets: Sequence[str] = (),
        secrets_of: SecretsOf | None = None,
        private: bool = True,
        resolve: Resolve = resolved,
    ) -> Sender:
        own, others = [
            await self._parts.enter_async_context(client_to(guard, timeout=ANSWER))
            for guard in (GuardedTransport(private=may, resolve=resolve) for may in (True, private))
        ]
        return Sender(
            Outbox(self.client),
            AsyncRedisJobStore(self.client),
            RedisBatches(self.client),
            own=own,
            others=others,
            webhook_url=url,
            secrets_of=secrets_of or (lambda _: secrets),
        )


async def a_round(sender: Sender) -> None:
    """What a sender does again and again, once: and the attempts come to their end."""
    await sender.take_in()
    await sender.send_due()
    await sender.finish(PATIENCE)


def log_of(redis_client, job: Job) -> list[Attempt]:
    return [Attempt.model_validate_json(line) for line in redis_client.lrange(keys.deliveries(job.id), 0, -1)]


def is_over(redis_client, job: Job) -> bool:
    """Nothing of an end is left to be told."""
    assert redis_client.exists(keys.telling(job.id)) == (redis_client.zscore(keys.DUE, job.id) is not None)
    return not redis_client.exists(keys.telling(job.id)) and not redis_client.xlen(keys.OUTBOX)

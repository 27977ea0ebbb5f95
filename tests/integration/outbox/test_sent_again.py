"""An end is sent again on demand; the log keeps the attempts, and erasing a job ends both."""

import asyncio
from collections.abc import Sequence

from jobs.model import Job
from jobs.redis.store import AsyncRedisJobStore
from outbox import due_list as outbox
from outbox.due_list import Outbox
from tests.integration.outbox.senders import Senders, ended, is_over, log_of
from webhooks import schedule
from webhooks.deliveries import RedisDeliveries


def again(redis_url: str, job: Job) -> None:
    async def asked() -> None:
        async with Senders(redis_url) as senders:
            await RedisDeliveries(senders.client).send_again(job)

    asyncio.run(asked())


def test_an_end_is_told_again_on_demand_under_the_same_id(redis_client, redis_url, receiver, tell):
    job = ended(redis_client, receiver.url)
    receiver.status = 410
    tell(2)
    receiver.status = 200

    again(redis_url, job)
    again(redis_url, job)
    tell(3)

    assert receiver.ids == [f"{job.id}-canceled"] * 2
    assert receiver.got[0].body == receiver.got[1].body
    assert is_over(redis_client, job)


def test_an_attempt_that_is_due_later_is_made_at_once_on_demand(redis_client, redis_url, receiver, tell, monkeypatch):
    monkeypatch.setattr(schedule, "SCHEDULE", (0, 3600, 3600))
    job = ended(redis_client, receiver.url)
    receiver.status = 500
    tell(2)
    again(redis_url, job)
    tell()

    assert [attempt.attempt for attempt in log_of(redis_client, job)] == [1, 2]


def test_an_attempt_under_way_is_not_doubled_on_demand(redis_client, redis_url):
    job = ended(redis_client, "http://127.0.0.1:9/")

    async def asked() -> Sequence:
        async with Senders(redis_url) as senders:
            await (await senders.one()).take_in()
            assert await Outbox(senders.client).claim(1)
            await RedisDeliveries(senders.client).send_again(job)
            return await Outbox(senders.client).claim(1)

    assert asyncio.run(asked()) == []


def test_the_log_keeps_the_latest_attempts(redis_client, receiver, tell, monkeypatch):
    monkeypatch.setattr(outbox, "KEPT", 3)
    job = ended(redis_client, receiver.url)
    receiver.status = 500
    tell(5)

    assert [attempt.attempt for attempt in log_of(redis_client, job)] == [3, 4, 5]


def erased(redis_url: str, job: Job) -> None:
    async def erase() -> None:
        async with Senders(redis_url) as senders:
            await AsyncRedisJobStore(senders.client).erase(job)

    asyncio.run(erase())


def test_of_an_erased_job_nobody_is_told_any_more_and_no_log_is_left(redis_client, redis_url, receiver, tell):
    receiver.status = 500
    told, waiting = ended(redis_client, receiver.url), ended(redis_client, receiver.url)
    tell()
    late = ended(redis_client, receiver.url)
    for job in (told, waiting, late):
        erased(redis_url, job)
    tell(2)

    assert len(receiver.got) == 2
    for job in (told, waiting, late):
        assert is_over(redis_client, job)
        assert log_of(redis_client, job) == []

"""A receiver or a name that stalls holds up no other, and an end that comes is not waited for."""

import asyncio
from collections.abc import Sequence

from outbox import __main__ as module
from process.lookups import resolved
from tests.integration.outbox.senders import Senders, ended
from tests.patience import PATIENCE
from tests.receiver import receiving
from webhooks import post, receivers


def test_a_receiver_that_stalls_does_not_hold_up_the_others(redis_client, redis_url, receiver, monkeypatch):
    """Far more ends for it than a sender takes in hand, and older ones; it answers none of them."""
    # No attempt at it ends: on a busy machine its own would be over, and followed by others, before all are told.
    monkeypatch.setattr(post, "TIMEOUT", 10**9)
    with receiving(hangs=True) as stalled:
        for _ in range(3 * module.IN_HAND):
            ended(redis_client, stalled.url)
        jobs = [ended(redis_client, receiver.url) for _ in range(20)]

        async def until_told() -> None:
            async with Senders(redis_url) as senders, asyncio.timeout(PATIENCE):
                running = asyncio.create_task((await senders.one()).run())
                while len(receiver.got) < len(jobs) and not running.done():
                    await asyncio.sleep(0.02)
                running.cancel()
                await asyncio.wait([running])

        asyncio.run(until_told())

        assert sorted(receiver.ids) == sorted(f"{job.id}-canceled" for job in jobs)
        assert 0 < len(stalled.got) <= receivers.AT_A_TIME


def test_names_of_one_owner_that_stall_hold_up_nobody_else(redis_client, redis_url, receiver):
    """Each of the flood's ends has a receiver of its own, whose name is not answered until the other owner is told."""
    for number in range(2 * module.IN_HAND):
        ended(redis_client, f"https://{number}.zone.test/told", owner="flood")
    job = ended(redis_client, receiver.url, owner="other")

    async def until_told() -> int:
        answers, asked = asyncio.Event(), []

        async def stalling(host: str, port: int) -> Sequence[str]:
            if host.endswith(".zone.test"):
                asked.append(host)
                await answers.wait()
            return await resolved(host, port)

        async with Senders(redis_url) as senders, asyncio.timeout(PATIENCE):
            running = asyncio.create_task((await senders.one(resolve=stalling)).run())
            while not receiver.got and not running.done():
                await asyncio.sleep(0.02)
            assert not answers.is_set()
            running.cancel()
            await asyncio.wait([running])
        return len(asked)

    stalled = asyncio.run(until_told())

    assert receiver.ids == [f"{job.id}-canceled"]
    assert 0 < stalled <= receivers.OF_OWNER_AT_A_TIME


def test_an_end_put_in_while_a_sender_waits_is_told_without_another_look(redis_client, redis_url, receiver):
    async def woken() -> None:
        async with Senders(redis_url) as senders, asyncio.timeout(PATIENCE):
            running = asyncio.create_task((await senders.one()).run())
            await asyncio.sleep(0.1)
            ended(redis_client, receiver.url)
            while not receiver.got and not running.done():
                await asyncio.sleep(0.02)
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(woken())

    assert len(receiver.got) == 1

"""Several senders share the outbox: each end is one sender's at a time, and a sender that is lost loses nothing."""

import asyncio
from collections.abc import Callable, Sequence

from outbox import __main__ as module
from outbox import due_list as outbox
from outbox.due_list import Outbox
from tests.integration.outbox.senders import Senders, a_round, ended, is_over, log_of
from tests.patience import PATIENCE
from tests.receiver import Receiver, receiving
from webhooks.deliveries import Attempt
from webhooks.messages import Message


def test_what_a_sender_that_was_killed_had_taken_another_sends(redis_client, redis_url, receiver, monkeypatch):
    monkeypatch.setattr(outbox, "LEASE", 3_000)
    job = ended(redis_client, receiver.url)

    async def taken_over() -> None:
        async with Senders(redis_url) as senders, asyncio.timeout(PATIENCE):
            killed, other = await senders.one(), await senders.one()
            await killed.take_in()
            assert await Outbox(senders.client).claim(10)
            assert not await Outbox(senders.client).claim(10)
            while not receiver.got:
                await a_round(other)

    asyncio.run(taken_over())

    assert receiver.ids == [f"{job.id}-canceled"]
    assert is_over(redis_client, job)
    assert [attempt.outcome for attempt in log_of(redis_client, job)] == ["delivered"]


def test_a_late_sender_that_failed_is_not_heard_any_more(redis_client, redis_url, monkeypatch):
    """It was only asleep; meanwhile another is at it, and nothing that it says changes that."""
    monkeypatch.setattr(outbox, "LEASE", 0)
    job = ended(redis_client, "http://127.0.0.1:9/")
    failed = Attempt(attempt=1, at=job.finished_at, seconds=1, error="timeout", outcome="retrying")

    async def late() -> None:
        async with Senders(redis_url) as senders:
            box = Outbox(senders.client)
            await (await senders.one()).take_in()
            (claim,) = await box.claim(1)
            (again,) = await box.claim(1)
            await box.settle(claim, failed, 3600)
            await box.put_off(claim, 3600)
            (third,) = await box.claim(1)
            assert (again.attempt, third.attempt) == (1, 1)

    asyncio.run(late())

    assert log_of(redis_client, job) == []


def test_an_end_that_another_told_meanwhile_is_not_put_on_the_list_again(redis_client, redis_url, receiver):
    job = ended(redis_client, receiver.url)

    async def slow() -> None:
        async with Senders(redis_url) as senders:
            one, other = await senders.one(), await senders.one()

            async def while_the_other_works(job_id: str) -> Message | None:
                message = await one._message_for(job_id)
                await a_round(other)
                return message

            await Outbox(senders.client).accept(while_the_other_works, wait=1)
            await a_round(one)

    asyncio.run(slow())

    assert len(receiver.got) == 1
    assert is_over(redis_client, job)


def test_a_late_sender_whose_message_was_taken_spares_the_receiver_another(redis_client, redis_url, monkeypatch):
    monkeypatch.setattr(outbox, "LEASE", 0)
    job = ended(redis_client, "http://127.0.0.1:9/")

    async def late() -> None:
        async with Senders(redis_url) as senders:
            box = Outbox(senders.client)
            await (await senders.one()).take_in()
            (claim,) = await box.claim(1)
            (again,) = await box.claim(1)
            taken = Attempt(attempt=1, at=job.finished_at, seconds=1, status=200, outcome="delivered")
            await box.settle(claim, taken, None)
            await box.settle(again, taken, None)

    asyncio.run(late())

    assert is_over(redis_client, job)
    assert len(log_of(redis_client, job)) == 1


def test_a_claim_lasts_as_long_as_its_sender_renews_it(redis_client, redis_url, monkeypatch):
    ended(redis_client, "http://127.0.0.1:9/")

    async def renewed() -> None:
        async with Senders(redis_url) as senders:
            box = Outbox(senders.client)
            await (await senders.one()).take_in()
            monkeypatch.setattr(outbox, "LEASE", 0)
            (first,) = await box.claim(1)
            monkeypatch.setattr(outbox, "LEASE", 60_000)
            await box.renew([first])
            assert not await box.claim(1)
            monkeypatch.setattr(outbox, "LEASE", 0)
            await box.renew([first])
            (second,) = await box.claim(1)
            monkeypatch.setattr(outbox, "LEASE", 60_000)
            await box.renew([first])  # it is not its any more
            assert len(await box.claim(1)) == 1
            assert second.holder != first.holder

    asyncio.run(renewed())


def test_an_attempt_that_takes_longer_than_a_lease_stays_its_senders(redis_client, redis_url, monkeypatch):
    lease = 3_000
    monkeypatch.setattr(outbox, "LEASE", lease)
    monkeypatch.setattr(module, "LEASE", lease)

    async def held(receiver: Receiver) -> None:
        async with Senders(redis_url) as senders, asyncio.timeout(PATIENCE):
            running = asyncio.create_task((await senders.one()).run())
            while not receiver.got:
                await asyncio.sleep(0.02)
            for _ in range(8):  # longer than a lease and a half
                await asyncio.sleep(lease / 5_000)
                assert not await Outbox(senders.client).claim(1)
            receiver.closing.set()
            running.cancel()
            await asyncio.wait([running])

    with receiving(hangs=True) as receiver:
        ended(redis_client, receiver.url)
        asyncio.run(held(receiver))

        assert len(receiver.got) == 1


def test_two_senders_share_the_work_and_tell_nobody_twice(redis_client, redis_url, receiver, monkeypatch):
    jobs = [ended(redis_client, receiver.url) for _ in range(40)]
    monkeypatch.setattr(module, "IN_HAND", 4)
    sent: list[list[str]] = [[], []]

    async def shared() -> None:
        async with Senders(redis_url) as senders, asyncio.timeout(PATIENCE):
            both = [await senders.one(), await senders.one()]
            for sender, mine in zip(both, sent, strict=True):
                claim = sender._outbox.claim

                async def noted(most: int, claim: Callable = claim, mine: list[str] = mine) -> Sequence:
                    claims = await claim(most)
                    mine += [each.subject for each in claims]
                    return claims

                monkeypatch.setattr(sender._outbox, "claim", noted)
            while len(receiver.got) < len(jobs):
                await asyncio.gather(*map(a_round, both))

    asyncio.run(shared())

    assert sorted(receiver.ids) == sorted(f"{job.id}-canceled" for job in jobs)
    assert sorted(sent[0] + sent[1]) == sorted(job.id for job in jobs)
    assert all(sent)

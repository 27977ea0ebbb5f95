"""An end is told until somebody has taken it, always under one id: real receivers, a real Redis, senders in process."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
import redis.asyncio
from standardwebhooks import Webhook as OfficialWebhook

from jobs import moves
from jobs.batches import RedisBatches
from jobs.model import ANYBODY, Job, Webhook, new_job
from jobs.redis import keys
from jobs.redis.store import AsyncRedisJobStore, RedisJobStore
from outbox import __main__ as module
from outbox import due_list as outbox
from outbox.__main__ import Sender
from outbox.due_list import Outbox
from process.addresses import GuardedTransport, client_to
from process.lookups import Resolve, resolved
from process.metrics import OUTBOX, REGISTRIES
from process.trace import Trace
from tests.edits import CAT_TO_DOG
from tests.patience import ANSWER, PATIENCE
from tests.receiver import Receiver, receiving
from webhooks import post, receivers, schedule
from webhooks.deliveries import Attempt, RedisDeliveries
from webhooks.messages import Message
from webhooks.secrets import SecretsOf
from webhooks.signature import new_secret

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
ALWAYS = (0,) * len(schedule.SCHEDULE)


@pytest.fixture(autouse=True)
def impatient(redis_client, monkeypatch) -> None:
    """An empty Redis, and senders that do not wait for anything: neither for new ends nor between attempts."""
    redis_client.flushdb()
    monkeypatch.setattr(module, "TURN", 1)
    monkeypatch.setattr(module, "LOOK", 0.01)
    monkeypatch.setattr(schedule, "SCHEDULE", ALWAYS)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


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


@pytest.fixture
def tell(redis_url) -> Callable[..., None]:
    """Some rounds of one sender."""

    def told(number: int = 1, **how) -> None:
        async def rounds() -> None:
            async with Senders(redis_url) as senders, asyncio.timeout(PATIENCE):
                sender = await senders.one(**how)
                for _ in range(number):
                    await a_round(sender)

        asyncio.run(rounds())

    return told


def log_of(redis_client, job: Job) -> list[Attempt]:
    return [Attempt.model_validate_json(line) for line in redis_client.lrange(keys.deliveries(job.id), 0, -1)]


def is_over(redis_client, job: Job) -> bool:
    """Nothing of an end is left to be told."""
    assert redis_client.exists(keys.telling(job.id)) == (redis_client.zscore(keys.DUE, job.id) is not None)
    return not redis_client.exists(keys.telling(job.id)) and not redis_client.xlen(keys.OUTBOX)


def test_an_end_is_told_once_where_it_is_taken(redis_client, receiver, tell):
    job = ended(redis_client)

    tell(5, url=receiver.url)

    (got,) = receiver.got
    assert got.id == f"{job.id}-canceled"
    assert json.loads(got.body)["data"]["id"] == job.id
    assert got.headers["content-type"] == "application/json"
    sent, kept = Trace.parse(got.headers["traceparent"]), Trace.parse(TRACE)
    assert (sent.trace_id, sent.flags) == (kept.trace_id, kept.flags)
    assert sent.span_id != kept.span_id
    assert is_over(redis_client, job)
    (attempt,) = log_of(redis_client, job)
    assert (attempt.attempt, attempt.status, attempt.error, attempt.outcome) == (1, 204, None, "delivered")


def test_a_jobs_own_webhook_is_told_and_the_installations_is_not(redis_client, receiver, tell):
    with receiving() as own:
        job = ended(redis_client, own.url)
        tell(url=receiver.url)

        assert own.ids == [f"{job.id}-canceled"]
    assert receiver.got == []


@pytest.mark.parametrize(("events", "told"), [(("edit.succeeded",), 0), (("edit.succeeded", "edit.canceled"), 1)])
def test_a_webhook_is_told_of_the_ends_that_it_asked_for(redis_client, receiver, tell, events, told):
    job = ended(redis_client, receiver.url, events=events)

    tell(url=receiver.url)

    assert len(receiver.got) == told
    assert is_over(redis_client, job)


def test_where_there_is_nobody_to_tell_nothing_is_left_over(redis_client, tell):
    job = ended(redis_client)

    tell()

    assert is_over(redis_client, job)
    assert log_of(redis_client, job) == []


def test_every_attempt_is_verified_by_the_official_package_with_each_of_the_secrets(redis_client, receiver, tell):
    old, new = new_secret(), new_secret()
    job = ended(redis_client, receiver.url)
    receiver.status = 500
    tell(2, secrets=[new, old])

    first, second = receiver.got
    for secret in (old, new):
        for got in (first, second):
            assert OfficialWebhook(secret).verify(got.body, dict(got.headers))["data"]["id"] == job.id
    assert first.body == second.body


def test_without_a_secret_a_message_is_not_signed(redis_client, receiver, tell):
    ended(redis_client, receiver.url)

    tell()

    assert "webhook-signature" not in receiver.got[0].headers


@pytest.mark.parametrize("status", [500, 404, 429, 302, 308])
def test_an_end_that_was_not_taken_is_told_again_under_the_same_id(redis_client, receiver, tell, status):
    job = ended(redis_client, receiver.url)
    receiver.status, receiver.headers = status, {"Location": receiver.url}
    tell(2)
    assert not is_over(redis_client, job)
    receiver.status = 200
    tell(2)

    assert receiver.ids == [f"{job.id}-canceled"] * 3
    assert is_over(redis_client, job)
    log = [(attempt.attempt, attempt.status, attempt.outcome) for attempt in log_of(redis_client, job)]
    assert log == [(1, status, "retrying"), (2, status, "retrying"), (3, 200, "delivered")]


def test_a_redirect_is_not_followed(redis_client, receiver, tell):
    with receiving() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        ended(redis_client, receiver.url)
        tell(3)

        assert (len(receiver.got), elsewhere.got) == (3, [])


def test_the_schedule_has_an_end(redis_client, receiver, tell):
    job = ended(redis_client, receiver.url)
    receiver.status = 500

    tell(12)

    assert len(receiver.got) == 10
    assert is_over(redis_client, job)
    assert [attempt.outcome for attempt in log_of(redis_client, job)] == ["retrying"] * 9 + ["given_up"]


def test_a_receiver_that_answers_gone_is_not_called_again(redis_client, receiver, tell):
    job = ended(redis_client, receiver.url)
    receiver.status = 410

    tell(3)

    assert len(receiver.got) == 1
    assert is_over(redis_client, job)
    assert log_of(redis_client, job)[-1].outcome == "disabled"


def test_a_receiver_is_left_alone_for_as_long_as_it_asks(redis_client, receiver, tell):
    job = ended(redis_client, receiver.url)
    receiver.status, receiver.headers = 429, {"Retry-After": "3600"}

    tell(3)

    assert len(receiver.got) == 1
    seconds, _ = redis_client.time()
    # less what the test took
    assert redis_client.zscore(keys.DUE, job.id) / 1000 - seconds > 3600 - PATIENCE


def test_the_next_attempt_is_due_when_the_schedule_says(redis_client, receiver, tell, monkeypatch):
    job = ended(redis_client, receiver.url)
    receiver.status = 500
    monkeypatch.setattr(schedule, "SCHEDULE", (0, 3600, 7200))

    tell(3)

    assert len(receiver.got) == 1
    seconds, _ = redis_client.time()
    assert 3600 - PATIENCE < redis_client.zscore(keys.DUE, job.id) / 1000 - seconds <= 3600 * (1 + schedule.JITTER)


def test_a_receiver_that_hangs_is_given_up_after_a_while_and_called_again(redis_client, tell, monkeypatch):
    monkeypatch.setattr(post, "TIMEOUT", 2)
    with receiving(hangs=True) as receiver:
        job = ended(redis_client, receiver.url)
        tell(2)

        assert len(receiver.got) == 2
    assert [(attempt.status, attempt.error) for attempt in log_of(redis_client, job)] == [(None, "timeout")] * 2


def test_nobody_listening_is_no_end_of_the_sender(redis_client, tell):
    job = ended(redis_client, "http://127.0.0.1:9/")

    tell(2)

    assert redis_client.xlen(keys.OUTBOX) == 1
    assert [attempt.error for attempt in log_of(redis_client, job)] == ["connection_failed"] * 2


def test_a_name_that_resolves_to_a_private_address_is_not_called(redis_client, receiver, tell):
    job = ended(redis_client, receiver.url.replace("127.0.0.1", "localhost"))

    tell(private=False)

    assert receiver.got == []
    assert [attempt.error for attempt in log_of(redis_client, job)] == ["no_public_address"]
    # The very same is called where the setting allows it: it was the guard that held it back.
    tell(private=True)
    assert len(receiver.got) == 1


def test_a_name_that_is_rebound_after_the_check_is_called_where_it_was_checked(redis_client, receiver, tell):
    """The first answer is the receiver, the next would be another: there is no next for one attempt."""
    asked = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.9"]

    ended(redis_client, receiver.url.replace("127.0.0.1", "hooks.test"))
    tell(resolve=rebinding)

    assert (len(receiver.got), asked) == (1, ["hooks.test"])
    assert receiver.got[0].headers["host"].startswith("hooks.test:")


def test_the_installations_own_address_may_be_private(redis_client, receiver, tell):
    ended(redis_client)

    tell(url=receiver.url, private=False)

    assert len(receiver.got) == 1


@pytest.mark.parametrize(("part", "unbound"), [(b"x" * 4096, "READ_TIME"), (b"", "READ")])
def test_of_an_endless_answer_only_a_little_is_read(redis_client, tell, monkeypatch, part, unbound):
    """A flood is bounded by its bytes, silence by its time; the status counts."""
    monkeypatch.setattr(post, "READ_TIME", 0.05)
    monkeypatch.setattr(post, unbound, 10**9)
    monkeypatch.setattr(post, "TIMEOUT", 10**9)

    with receiving(status=200, endless=part) as receiver:
        job = ended(redis_client, receiver.url)
        tell()

    assert is_over(redis_client, job)
    assert [attempt.status for attempt in log_of(redis_client, job)] == [200]


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


def test_everything_ends_some_day(redis_client, redis_url, receiver, tell):
    """The log with the record; the rest a week after it was of use."""
    receiver.status = 500
    job = ended(redis_client, receiver.url)
    tell(2)

    hour, week = 3600, 7 * 24 * 3600
    assert 0 < redis_client.ttl(keys.deliveries(job.id)) <= redis_client.ttl(keys.record(job.id)) <= hour
    for name in (keys.OUTBOX, keys.SEEN, keys.DUE, keys.telling(job.id)):
        assert week - PATIENCE < redis_client.ttl(name) <= week
    ours = [name for name in redis_client.keys("*") if not name.startswith("rq:")]
    assert [name for name in ours if redis_client.ttl(name) <= 0] == []


def test_the_schedule_goes_on_where_the_record_has_gone(redis_client, receiver, tell):
    receiver.status = 500
    job = ended(redis_client, receiver.url)
    tell()
    redis_client.delete(keys.record(job.id), keys.deliveries(job.id))
    receiver.status = 200
    tell()

    assert len(receiver.got) == 2
    assert is_over(redis_client, job)
    assert not redis_client.exists(keys.deliveries(job.id))


def test_a_list_that_was_lost_is_made_anew_from_the_outbox(redis_client, receiver, tell):
    receiver.status = 500
    job = ended(redis_client, receiver.url)
    tell()
    redis_client.delete(keys.SEEN, keys.DUE, keys.telling(job.id))
    receiver.status = 200
    tell(2)

    assert len(receiver.got) == 2
    assert is_over(redis_client, job)


def test_everything_is_taken_in_however_much_there_is(redis_client, receiver, tell, monkeypatch):
    monkeypatch.setattr(outbox, "AT_ONCE", 3)
    jobs = [ended(redis_client, receiver.url) for _ in range(10)]

    tell(6)

    assert sorted(receiver.ids) == sorted(f"{job.id}-canceled" for job in jobs)


@pytest.fixture
def more() -> Callable[..., float]:
    """By how much a sample of the senders has grown since the test began."""

    def now(name: str, **labels: str) -> float:
        return REGISTRIES[OUTBOX].get_sample_value(name, labels) or 0.0

    results = ("delivered", "refused", "unreachable", "given_up", "disabled")
    asked = [("p2p_webhook_attempts_total", {"result": each}) for each in results]
    asked += [("p2p_webhook_delivery_seconds_count", {}), ("p2p_webhook_delivery_seconds_sum", {})]
    before = {(name, *labels.values()): now(name, **labels) for name, labels in asked}
    return lambda name, **labels: now(name, **labels) - before[name, *labels.values()]


@pytest.mark.parametrize(
    ("status", "attempts", "counted"),
    [
        (204, 1, {"delivered": 1}),
        (500, 2, {"refused": 2}),
        (None, 2, {"unreachable": 2}),
        (500, len(ALWAYS), {"refused": len(ALWAYS) - 1, "given_up": 1}),
        (410, 1, {"disabled": 1}),
    ],
)
def test_every_attempt_is_counted_once_by_what_came_of_it(
    redis_client, receiver, tell, more, status, attempts, counted
):
    ended(redis_client, "http://127.0.0.1:9/" if status is None else receiver.url)
    receiver.status = status

    tell(attempts)

    results = ("delivered", "refused", "unreachable", "given_up", "disabled")
    found = {each: more("p2p_webhook_attempts_total", result=each) for each in results}
    assert {each: count for each, count in found.items() if count} == counted


def test_the_lag_of_a_delivery_is_counted_from_the_end(redis_client, receiver, tell, more):
    ended(redis_client, receiver.url)
    # The end as it would have been written an hour ago.
    ((entry, fields),) = redis_client.xrange(keys.OUTBOX)
    redis_client.delete(keys.OUTBOX)
    redis_client.xadd(keys.OUTBOX, fields, id=f"{int(entry.split('-')[0]) - 3_600_000}-0")

    tell()

    assert more("p2p_webhook_delivery_seconds_count") == 1
    assert 3600 <= more("p2p_webhook_delivery_seconds_sum") < 3600 + PATIENCE

"""`python -m outbox`: sends webhooks about jobs that have ended. Any number may run side by side.

Which webhooks are sent, when again, and what a killed sender leaves behind: see `outbox.due_list`. `send` is one
attempt.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import httpx
import redis
import redis.asyncio

from jobs.batches import Batches, RedisBatches
from jobs.errors import BatchNotFound, JobNotFound, NewerRecord, RefusedRedis, UnsafeRedis
from jobs.redis import keys
from jobs.redis.connection import patient_async_client, patient_client, wait_for
from jobs.redis.store import AsyncRedisJobStore
from outbox.due_list import AT_ONCE, LEASE, Claim, Outbox
from outbox.settings import OutboxSettings
from process import metrics
from process.addresses import GuardedTransport, checked_url, client_to, host_of
from process.interruption import Interrupted, interruptible, look
from process.logs import bound, set_up_logs
from process.settings import settings_or_exit
from process.trace import Trace
from webhooks.deliveries import Attempt
from webhooks.messages import Message, is_batch_wanted, is_wanted, message_about, message_about_batch
from webhooks.post import TIMEOUT, post
from webhooks.receivers import LATEST, Receivers
from webhooks.schedule import verdict, with_jitter
from webhooks.secrets import SecretRing, SecretsOf, Signing

log = logging.getLogger("outbox")

#: Claims in hand at once. Most of the time of an attempt is waiting.
IN_HAND = 256
#: Milliseconds that one look at the outbox waits for something new; seconds between two looks at what is due, and
#: between two looks for a signal.
TURN, LOOK, NOTICE = 1_000, 0.5, 0.1
#: Seconds between two turns at the outbox: a webhook goes out later by at most so much.
TOGETHER = 0.1
#: Seconds that attempts under way are given when the process gets SIGTERM: less than what is left of their leases.
GRACE = 3.0


async def send(outbox: Outbox, claim: Claim, client: httpx.AsyncClient, url: str, secrets: Sequence[str] = ()) -> None:
    """Try once to send one webhook, and note how that went; every attempt goes through here."""
    at = datetime.now(UTC)
    answer = await post(claim.message, client, url, secrets)
    follows = verdict(answer, claim.attempt)
    attempt = Attempt(
        attempt=claim.attempt,
        at=at,
        seconds=answer.seconds,
        status=answer.status,
        error=answer.error,
        outcome=follows.outcome,
    )
    again = follows.outcome == "retrying"
    _count(claim, attempt)
    if follows.outcome != "delivered":
        level = logging.WARNING if again else logging.ERROR
        met = answer.error or f"status {answer.status}"
        # The host alone: addresses of webhooks often hold a secret.
        host = host_of(httpx.URL(url))
        log.log(level, "%s: attempt %d at %s: %s: %s", _named(claim.subject), claim.attempt, host, met, follows.outcome)
    await outbox.settle(claim, attempt, with_jitter(follows.delay) if again else None)


def _count(claim: Claim, attempt: Attempt) -> None:
    """Each attempt once: by its outcome, or if another follows, by what it met with."""
    if attempt.outcome == "delivered":
        return metrics.webhook_delivered(claim.entry, time.time())
    met = "refused" if attempt.status else "unreachable"
    metrics.WEBHOOK_ATTEMPTS.labels(met if attempt.outcome == "retrying" else attempt.outcome).inc()


def _about(message: Message) -> Mapping[str, object]:
    """What every line that is logged about an attempt says."""
    trace = Trace.parse(message.traceparent)
    of_trace = {} if trace is None else {"trace_id": trace.trace_id}
    about = {"job_id": message.job} if message.job else {"batch_id": message.batch}
    return {**about, "key_id": message.owner, **of_trace}


def _named(subject: str) -> str:
    """What has ended, for people."""
    return keys.record_of(subject).replace(":", " ")


class Sender:
    """A sender: takes in what has ended, sends what is due, keeps its claims alive.

    Args:
        store, batches: where the records are.
        own: for the address that the installation names, which may be a private one.
        others: for addresses that clients named.
        webhook_url: gets the ends of jobs that name no webhook; "" for none.
        prefix: stands before the path of each link in a message.
        secrets_of: what signs a message.
    """

    def __init__(
        self,
        outbox: Outbox,
        store: AsyncRedisJobStore,
        batches: Batches,
        *,
        own: httpx.AsyncClient,
        others: httpx.AsyncClient,
        webhook_url: str,
        prefix: str = "",
        secrets_of: SecretsOf,
    ) -> None:
        self._outbox, self._store, self._batches = outbox, store, batches
        self._own, self._others = own, others
        self._webhook_url, self._prefix, self._secrets_of = webhook_url, prefix, secrets_of
        self._receivers, self._news = Receivers(), asyncio.Event()
        self._in_hand: dict[asyncio.Task, Claim] = {}

    async def run(self) -> None:
        """Until something raises that is no fault of Redis; attempts under way are then given a little time."""
        loops = [
            asyncio.create_task(_for_ever(step))
            for step in (self._take_in_together, self.send_due, self._keep, _listen)
        ]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for loop in done:
                loop.result()
        finally:
            for loop in loops:
                loop.cancel()
            await self.finish(GRACE)

    async def finish(self, patience: float) -> None:
        """Wait for the attempts under way; those that take longer are cut short, and another sender's after a while."""
        if self._in_hand:
            _, late = await asyncio.wait(self._in_hand, timeout=patience)
            for task in late:
                task.cancel()

    async def take_in(self) -> bool:
        """Put what has ended on the due list; waits a moment for it. Says whether there was some, and no more."""
        accepted = await self._outbox.accept(self._message_for, wait=TURN)
        if accepted.wanted:
            self._news.set()
        return 0 < accepted.looked_at < AT_ONCE

    async def _take_in_together(self) -> None:
        """`take_in`, and a moment for others to end: what ends in the same one costs Redis little more than one."""
        if await self.take_in():
            await asyncio.sleep(TOGETHER)

    async def send_due(self) -> None:
        """Begin an attempt at everything whose time has come."""
        claims = await self._outbox.claim(IN_HAND - len(self._in_hand)) if len(self._in_hand) < IN_HAND else ()
        for claim in claims:
            url = claim.message.url or self._webhook_url
            # The installation named an address when this was put on the list: it may again, until the list forgets it.
            wait = self._receivers.put_off(url, claim.message.owner) if url else LATEST
            if wait is not None:
                await self._outbox.put_off(claim, wait)
                continue
            task = asyncio.create_task(self._attempt(claim, url))
            self._in_hand[task] = claim
            task.add_done_callback(self._in_hand.pop)
        if not claims:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK)
            self._news.clear()

    async def _attempt(self, claim: Claim, url: str) -> None:
        client = self._others if claim.message.url else self._own
        with bound(**_about(claim.message)):
            async with self._receivers.turn(url, claim.message.owner):
                await self._try(claim, client, url)

    async def _try(self, claim: Claim, client: httpx.AsyncClient, url: str) -> None:
        try:
            secrets = await asyncio.to_thread(self._secrets_of, claim.message)
            await send(self._outbox, claim, client, url, secrets)
        except redis.RedisError as error:
            log.warning("%s: how an attempt went could not be noted, another follows: %s", _named(claim.subject), error)
        except Exception:
            log.exception("%s: an attempt failed here", _named(claim.subject))

    async def _keep(self) -> None:
        """The claims in hand stay this sender's."""
        await self._outbox.renew(list(self._in_hand.values()))
        await asyncio.sleep(LEASE / 5_000)

    async def _message_for(self, subject: str) -> Message | None:
        by_installation = bool(self._webhook_url)
        try:
            if subject.startswith(keys.batch("")):
                standing = await self._batches.get(subject.removeprefix(keys.batch("")))
                wanted = is_batch_wanted(standing.batch, by_installation=by_installation)
                return message_about_batch(standing, prefix=self._prefix) if wanted else None
            job = await self._store.get(subject)
        except (JobNotFound, BatchNotFound):
            log.warning("%s: no webhook is sent, its record is gone", _named(subject))
            return None
        wanted = is_wanted(job, by_installation=by_installation)
        return message_about(job, prefix=self._prefix) if wanted else None


async def _for_ever(step: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await step()
        except redis.RedisError as error:
            log.warning("Redis did not answer: %s", error)
            await asyncio.sleep(1)
        except NewerRecord as error:
            log.warning("left to a newer sender: %s", error)
            await asyncio.sleep(1)


async def _listen() -> None:
    look()
    await asyncio.sleep(NOTICE)


async def _serve(settings: OutboxSettings) -> None:
    # Blocking: it is asked in threads, for keys' secrets.
    with patient_client(settings.redis_url) as blocking:
        async with (
            patient_async_client(settings.redis_url) as client,
            client_to(GuardedTransport(private=True), timeout=TIMEOUT) as own,
            client_to(GuardedTransport(private=settings.webhook_private), timeout=TIMEOUT) as others,
        ):
            await Sender(
                Outbox(client, replicas=settings.redis_replicas),
                AsyncRedisJobStore(client),
                RedisBatches(client),
                own=own,
                others=others,
                webhook_url=settings.webhook_url,
                prefix=settings.prefix,
                secrets_of=Signing(SecretRing(blocking), settings.webhook_secrets),
            ).run()


def main() -> None:
    """Send until a signal comes."""
    settings = settings_or_exit(OutboxSettings)
    set_up_logs(settings.log_format)
    try:
        metrics.serve_metrics(metrics.OUTBOX, settings.metrics_host, settings.metrics_port)
        wait_for(settings.redis_url)
    except (RefusedRedis, UnsafeRedis, metrics.MetricsUnavailable, redis.RedisError) as error:
        sys.exit(str(error))
    whom = host_of(checked_url(settings.webhook_url)) if settings.webhook_url else "nobody"
    log.info("sending to the webhooks that jobs name, and to %s for all other jobs", whom)
    if not settings.webhook_secrets:
        log.warning(
            "WEBHOOK_SECRET is empty: messages are not signed, but for those of keys with a secret of their own, and "
            "no receiver can tell who sent them"
        )
    if settings.webhook_private:
        log.warning("WEBHOOK_PRIVATE is set: clients may have webhooks sent to private addresses")
    with suppress(Interrupted), interruptible():
        asyncio.run(_serve(settings))


if __name__ == "__main__":
    main()

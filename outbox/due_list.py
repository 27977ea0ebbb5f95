"""The due list: which webhooks are to be sent, and when. Any number of senders share it.

An end is put into the outbox, a stream, in the same turn of Redis that writes it into the record. It stays there until
it is delivered or given up; what happens to it meanwhile stands beside it:

    outbox ──accept──► due (sorted set, by the millisecond of the next attempt), `telling` (a hash: message, attempts)
                        │  ▲
                      claim │ settle: again, after the schedule's next wait
                        ▼  │
                      an attempt ──settle: delivered, or given up──► gone from all three; the attempts are kept in a log

To claim is to move the due time on by a lease, which the sender renews while its attempt lasts: what a killed sender
had claimed is due again when the lease is over. So a webhook may be sent twice, always under one `webhook-id`. Every
change is one script, and names the claim's own holder; the times are Redis's.

What has ended is called a subject (`keys.record_of`). `telling` has `entry` (of the outbox), `message` (JSON),
`attempts` (that came to an end), and `holder` (of the attempt under way).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import uuid4

import redis.asyncio

from jobs.redis import keys
from jobs.redis.lua import lua
from jobs.redis.replicated import enough, wait_commands
from webhooks.deliveries import Attempt
from webhooks.messages import Message

log = logging.getLogger(__name__)

#: The scripts of the due list.
LUA = Path(__file__).with_name("lua")

#: Milliseconds after its last sign of life that a sender's claims are anybody's.
LEASE = 5_000
#: Entries that are accepted in one turn.
AT_ONCE = 64
#: Attempts to send one webhook that are kept.
KEPT = 50

#: The message about a subject (`keys.record_of`) that an entry names; None if none is to be sent.
MessageFor = Callable[[str], Awaitable[Message | None]]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An end that a sender has claimed.

    Attributes:
        subject: what has ended, a job or a batch (`keys.record_of`).
        holder: of this claim, and of no other.
        attempt: which one it is, from 1.
        entry: the outbox's about it, whose id begins with the millisecond in which it was written.
    """

    subject: str
    message: Message
    holder: str
    attempt: int
    entry: str


class Accepted(NamedTuple):
    """What one turn did: how many entries it looked at, and how many webhooks they ask for."""

    looked_at: int
    wanted: int


class Outbox:
    """The outbox and its due list, over an asyncio client made with `decode_responses=True`.

    Args:
        replicas: how many must know of an end before its webhook is sent (`jobs.redis.replicated`).
    """

    def __init__(self, client: redis.asyncio.Redis, *, replicas: int = 0) -> None:
        self._client, self._replicas = client, replicas
        self._seen: str | None = None  # the last entry, while one turn follows another
        self._accept, self._come, self._claim, self._renew, self._put_off, self._settle = (
            client.register_script(lua(name, LUA)) for name in ("accept", "come", "claim", "renew", "put_off", "settle")
        )

    async def accept(self, message_for: MessageFor, *, wait: int) -> Accepted:
        """Put new entries of the outbox on the list; waits so many milliseconds for one.

        Raises whatever `message_for` does, and changes nothing then.
        """
        seen, self._seen = self._seen or cast(str | None, await self._client.get(keys.SEEN)) or "0-0", None
        entries = _of_stream(await self._client.xread({keys.OUTBOX: seen}, count=AT_ONCE, block=wait))
        if not entries:
            return Accepted(0, 0)
        subjects = [fields["job"] if "job" in fields else keys.batch(fields["batch"]) for _, fields in entries]
        messages = await asyncio.gather(*map(message_for, subjects))
        names, told = [keys.SEEN, keys.OUTBOX, keys.DUE], [seen, entries[-1][0]]
        for (entry, _), subject, message in zip(entries, subjects, messages, strict=True):
            names.append(keys.telling(subject))
            told += [entry, subject, "" if message is None else message.model_dump_json()]
        if await self._accept(names, told):
            self._seen = entries[-1][0]
        return Accepted(len(entries), sum(message is not None for message in messages))

    async def claim(self, most: int) -> Sequence[Claim]:
        """So many ends whose time has come, at most; each is this sender's for `LEASE`.

        Empty while too few replicas know of these ends.
        """
        subjects = cast(list[str], await self._come([keys.DUE], [most]))
        if not subjects:
            return []
        holders = [uuid4().hex for _ in subjects]
        async with self._client.pipeline(transaction=False) as commands:
            for subject, holder in zip(subjects, holders, strict=True):
                await self._claim([keys.DUE, keys.telling(subject)], [subject, holder, LEASE], client=commands)
            for command in wait_commands(self._replicas) if self._replicas else ():
                commands.execute_command(*command)
            answers = await commands.execute()
        if self._replicas:
            *answers, _, acknowledged = answers
        if self._replicas and not enough(acknowledged, self._replicas):
            # A failover could undo such an end, and the job would end again: no webhook is sent yet. The claims run
            # out by themselves.
            await self._client.connection_pool.disconnect(inuse_connections=False)  # another server may be the primary
            log.warning("%d webhooks wait: fewer than %d replicas know of their ends", len(subjects), self._replicas)
            return []
        return [
            Claim(
                subject=subject,
                message=Message.model_validate_json(answer[0]),
                holder=holder,
                attempt=int(answer[1]) + 1,
                entry=answer[2],
            )
            for subject, holder, answer in zip(subjects, holders, answers, strict=True)
            if answer
        ]

    async def renew(self, claims: Sequence[Claim]) -> None:
        """They are this sender's for another `LEASE`, as far as they still are."""
        if claims:
            names = [keys.telling(claim.subject) for claim in claims]
            await self._renew([keys.DUE, *names], [LEASE, *(text for c in claims for text in (c.subject, c.holder))])

    async def put_off(self, claim: Claim, seconds: float) -> None:
        """Give a claim back without an attempt; it comes again after so long."""
        names = [keys.DUE, keys.telling(claim.subject)]
        await self._put_off(names, [claim.subject, claim.holder, int(seconds * 1000)])

    async def settle(self, claim: Claim, attempt: Attempt, delay: float | None) -> None:
        """Note how an attempt went: another follows after `delay` seconds, none if that is None."""
        subject = claim.subject
        names = [keys.DUE, keys.telling(subject), keys.OUTBOX, keys.record_of(subject), keys.deliveries(subject)]
        delivered, later = int(attempt.outcome == "delivered"), "" if delay is None else int(delay * 1000)
        await self._settle(names, [subject, claim.holder, attempt.model_dump_json(), KEPT, delivered, later])


def _of_stream(read: Any) -> Sequence[tuple[str, dict[str, str]]]:
    """What a read of one stream gave, of either protocol: RESP2 lists streams, RESP3 maps them."""
    if not read:
        return []
    ((_, entries),) = read.items() if isinstance(read, dict) else read
    # RESP3 has the entries of a stream in one more list.
    return entries[0] if entries and isinstance(entries[0], list) else entries

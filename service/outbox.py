"""`python -m service.outbox`: tells of jobs that have ended. Any number may run side by side.

An end is put into the outbox in the same turn of Redis that writes it into the record, so that neither is without the
other. A sender takes entries as a member of one group; what it does not acknowledge, because it was killed or nobody
answered, another takes over after `RETRY_AFTER`. So an end may be told twice, always under the same `webhook-id`, by
which a receiver knows it.

One address, unsigned, from a setting; the message is shaped by Standard Webhooks.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import httpx
import redis

from service.jobs import keys, metrics
from service.jobs.connection import patient_client, wait_for
from service.jobs.errors import MetricsUnavailable, UnsafeRedis
from service.jobs.interruption import Interrupted, interruptible, look, pause
from service.jobs.logs import set_up_logs
from service.jobs.settings import settings_or_exit
from service.settings import OutboxSettings

log = logging.getLogger("service.outbox")

GROUP = "senders"
#: Milliseconds after which an entry that nobody acknowledged is sent again, how long one read waits, and after which an
#: entry is given up: a day.
RETRY_AFTER, TURN, PATIENCE = 5_000, 1_000, 24 * 3_600_000
#: Entries a sender takes at once.
AT_ONCE = 16
#: Seconds a receiver has to answer.
TIMEOUT = 10

Entry = tuple[str, Mapping[str, str]]


class Outbox:
    """The stream, as one sender sees it."""

    def __init__(self, client: redis.Redis) -> None:
        self._client, self._name = client, uuid4().hex

    def take(self) -> Sequence[Entry]:
        """Entries to be sent: those that somebody let lie first, then new ones; waits a moment for the latter."""
        try:
            _, stale, *_ = cast(
                Any, self._client.xautoclaim(keys.OUTBOX, GROUP, self._name, RETRY_AFTER, "0-0", count=AT_ONCE)
            )
            if stale:
                return [entry for entry in stale if entry[1]]
            new = cast(Any, self._client.xreadgroup(GROUP, self._name, {keys.OUTBOX: ">"}, count=AT_ONCE, block=TURN))
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            # The stream ends when nothing was put into it for a week, and its group with it.
            self._client.xgroup_create(keys.OUTBOX, GROUP, id="0", mkstream=True)
            return []
        return [entry for entries in _of_streams(new) for entry in entries]

    def done(self, entry_id: str) -> None:
        """Nobody need send this again."""
        with self._client.pipeline(transaction=True) as commands:
            commands.xack(keys.OUTBOX, GROUP, entry_id)
            commands.xdel(keys.OUTBOX, entry_id)
            commands.execute()


def _of_streams(read: Any) -> Sequence[Sequence[Entry]]:
    """What a read gave, of either protocol: RESP2 lists streams, RESP3 maps them."""
    if isinstance(read, Mapping):
        return [entry for entries in read.values() for entry in entries]
    return [entries for _, entries in read or ()]


def send(outbox: Outbox, entry: Entry, client: httpx.Client, url: str) -> None:
    """Tell of one end; where that fails, the entry stays and is taken again later."""
    entry_id, end = entry
    try:
        response = client.post(url, content=_body(end), headers=_headers(end))
    except httpx.HTTPError as error:
        reason: object = error
        metrics.WEBHOOK_ATTEMPTS.labels("unreachable").inc()
    else:
        if response.is_success:
            metrics.webhook_delivered(entry_id, time.time())
            return outbox.done(entry_id)
        reason = f"it answered {response.status_code}"
        metrics.WEBHOOK_ATTEMPTS.labels("refused").inc()
    age = datetime.now(UTC).timestamp() * 1000 - int(entry_id.split("-")[0])
    if age > PATIENCE:
        metrics.WEBHOOK_ATTEMPTS.labels("given_up").inc()
        log.error("the end of job %s was never taken by %s and is given up: %s", end["job"], url, reason)
        return outbox.done(entry_id)
    log.warning("the end of job %s was not taken by %s and is sent again: %s", end["job"], url, reason)


def _headers(end: Mapping[str, str]) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        # Constant over every attempt: what a receiver knows a repetition by.
        "webhook-id": f"{end['job']}-{end['status']}",
        "webhook-timestamp": str(int(datetime.now(UTC).timestamp())),
    }


def _body(end: Mapping[str, str]) -> bytes:
    message = {
        "type": f"edit.{end['status']}",
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"id": end["job"], "status": end["status"], "links": {"self": f"/v1/edits/{end['job']}"}},
    }
    return json.dumps(message).encode()


def main() -> None:
    """Send until told to stop."""
    settings = settings_or_exit(OutboxSettings)
    set_up_logs(settings.log_format)
    client = patient_client(settings.redis_url)
    try:
        metrics.serve_metrics(metrics.OUTBOX, settings.metrics_host, settings.metrics_port)
        wait_for(client)
    except (UnsafeRedis, MetricsUnavailable, redis.RedisError) as error:
        sys.exit(str(error))
    outbox = Outbox(client)
    log.info("telling %s of ended jobs", settings.webhook_url or "nobody")
    with suppress(Interrupted), interruptible(), httpx.Client(timeout=TIMEOUT, follow_redirects=False) as http:
        while True:
            look()
            try:
                for entry in outbox.take():
                    if settings.webhook_url:
                        send(outbox, entry, http, settings.webhook_url)
                    else:
                        outbox.done(entry[0])
            except redis.RedisError as error:
                log.warning("Redis did not answer: %s", error)
                pause(1)


if __name__ == "__main__":
    main()

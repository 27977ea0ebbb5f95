"""Opens what the API works with, and closes it again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.retry import Retry

from service.addresses import GuardedTransport
from service.api_keys import KeyHolders
from service.images.by_url import Fetch, fetch_over
from service.images.inversions import RedisInversions
from service.images.reading import ImageLimits, ImageReader
from service.images.records import RedisImages
from service.images.uploads import ImagePlane
from service.jobs.backlog import Backlog
from service.jobs.batches import RedisBatches
from service.jobs.catalogue import load_catalogue
from service.jobs.queue import RqJobQueue
from service.jobs.storage import open_storage
from service.jobs.store import AsyncRedisJobStore
from service.plane import Plane
from service.settings import Settings
from service.signing import UrlSigner, artifact_secret
from service.tokens import token_counters
from service.webhooks.deliveries import RedisDeliveries

#: Seconds until a Redis that does not answer counts as down; a client waits for the answer.
_REDIS_TIMEOUTS: dict[str, Any] = {"socket_connect_timeout": 2, "socket_timeout": 5}
_NO_RETRY = Retry(NoBackoff(), 0)


class PackingConnection(redis.asyncio.Connection):
    """Packs commands in C, which redis-py 8.1 does by itself for blocking connections only."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """A command as it goes over the wire."""
        return HiredisRespSerializer().pack(*args)


def redis_client(url: str, *, decode_responses: bool) -> redis.asyncio.Redis:
    """The API's client."""
    return redis.asyncio.Redis.from_url(
        url, connection_class=PackingConnection, decode_responses=decode_responses, **_REDIS_TIMEOUTS
    )


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Plane]:
    """The job plane over Redis, RQ and the storage that the settings name.

    Redis itself is reached for by the first request that needs it: an API that starts before its Redis is not ready
    (`/readyz`), and not dead.
    """
    catalogue = load_catalogue(settings.models_file)
    records = redis_client(settings.redis_url, decode_responses=True)
    # RQ is blocking and reads bytes: a client of its own.
    messages = redis.Redis.from_url(settings.redis_url, **_REDIS_TIMEOUTS)
    # Asked once a scrape, which does not wait long: what fails is shown as missing.
    watcher = redis.Redis.from_url(settings.redis_url, decode_responses=True, retry=_NO_RETRY, **_REDIS_TIMEOUTS)
    queue = RqJobQueue(messages)
    storage = open_storage(settings.storage_url)
    transport = GuardedTransport(private=settings.image_url_private)
    try:
        yield Plane(
            store=AsyncRedisJobStore(records),
            batches=RedisBatches(records),
            queue=queue,
            storage=storage,
            catalogue=catalogue,
            counters=token_counters(catalogue),
            signer=UrlSigner(artifact_secret(settings.artifact_secret, settings.storage_url), settings.base_url),
            callers=KeyHolders(records, open_without_keys=settings.is_on_loopback),
            prefix=settings.prefix,
            job_lifetime=settings.job_lifetime,
            url_lifetime=settings.url_lifetime,
            queue_limit=settings.queue_limit,
            standings=Backlog(watcher, queue, catalogue).standings,
            backlog=settings.backlog,
            deliveries=RedisDeliveries(records),
            webhook_private=settings.webhook_private,
            images=ImagePlane(
                records=RedisImages(records),
                inversions=RedisInversions(records),
                storage=storage,
                reader=ImageReader(limits_of(settings)),
                lifetime=settings.image_lifetime,
                most=settings.images_per_key,
                fetch=_fetch(settings, transport) if settings.image_urls else None,
            ),
        )
    finally:
        await transport.aclose()
        await records.aclose()
        messages.close()
        watcher.close()


def limits_of(settings: Settings) -> ImageLimits:
    """What is read of a picture at most."""
    return ImageLimits(
        bytes=settings.max_image_bytes,
        pixels=settings.max_image_pixels,
        seconds=settings.image_seconds,
        at_once=settings.images_at_once,
    )


def _fetch(settings: Settings, transport: GuardedTransport) -> Fetch:
    seconds = settings.image_url_seconds.total_seconds()
    return fetch_over(transport, seconds=seconds, private=settings.image_url_private)

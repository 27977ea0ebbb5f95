"""Opens what the API works with, and closes it again."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import hiredis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.retry import Retry

from jobs.batches import RedisBatches
from jobs.follow.feed import RedisFeed
from jobs.follow.followers import Followers
from jobs.redis.backlog import Backlog
from jobs.redis.queue import RqJobQueue
from jobs.redis.replicated import Replicated
from jobs.redis.schemes import SCHEMES, client
from jobs.redis.store import AsyncRedisJobStore
from jobs.redis.subjects import RedisSubjects
from jobs.storage import ObjectStorage, local_directory, open_storage
from picture_files.by_url import Fetch, fetch_over
from picture_files.reading import ImageLimits, ImageReader
from process.addresses import GuardedTransport
from process.audit import Audit
from service.api_keys import KeyHolders
from service.artifacts.signing import UrlSigner, artifact_secret
from service.edits.stream_bound import StreamBound
from service.identity.opening import callers_of
from service.images.records import RedisImages
from service.images.uploads import ImagePlane
from service.inversions.records import RedisInversions
from service.models.offered import load_offered
from service.models.reloading import FollowedFile
from service.plane import Plane
from service.settings import Settings
from webhooks.deliveries import RedisDeliveries

#: Seconds until a Redis that does not answer counts as down; a client waits for the answer.
_REDIS_TIMEOUTS: dict[str, Any] = {"socket_connect_timeout": 2, "socket_timeout": 5}
_NO_RETRY = Retry(NoBackoff(), 0)


class Packing:
    """Packs commands in C, which redis-py 8.1 does by itself for blocking connections only."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """A command as it goes over the wire; raises `redis.DataError` where it has a value of no kind that is sent."""
        name = args[0]
        try:
            return [hiredis.pack_command((*name.encode().split(), *args[1:]))]
        except (TypeError, AttributeError):
            # What hiredis does not take as it is, redis-py looks at value by value, or says what is wrong with it.
            return HiredisRespSerializer().pack(*args)


#: By the scheme of REDIS_URL, its connections, which pack in C.
CONNECTIONS: Mapping[str, type[Packing]] = {
    scheme: type(f"Packing{kind.awaiting.__name__}", (Packing, kind.awaiting), {}) for scheme, kind in SCHEMES.items()
}
#: Connections for commands, of which none waits for anything but Redis. A core of Python keeps about three busy at a
#: round trip of 1 ms. A request that finds none free waits for one, at most so many seconds.
MOST_CONNECTIONS, WAIT_FOR_CONNECTION = 12, 20.0


def redis_client(url: str, *, decode_responses: bool, most: int = MOST_CONNECTIONS) -> redis.asyncio.Redis:
    """The API's client; `most` connections."""
    scheme = url.partition(":")[0]
    given: dict[str, Any] = {
        "decode_responses": decode_responses,
        "max_connections": most,
        "timeout": WAIT_FOR_CONNECTION,
        **_REDIS_TIMEOUTS,
        **SCHEMES[scheme].read(url),
        "connection_class": CONNECTIONS[scheme],
    }
    return redis.asyncio.Redis.from_pool(redis.asyncio.BlockingConnectionPool(**given))


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Plane]:
    """The job plane over Redis, RQ and the storage that the settings name.

    The first request that needs Redis reaches for it: an API that starts before it is not ready (`/readyz`), not dead.
    """
    offered = load_offered(settings.models_file)
    records = redis_client(settings.redis_url, decode_responses=True)
    hearing = redis_client(settings.redis_url, decode_responses=True, most=1)
    # Where replicas are waited for, it has connections of its own: who only reads does not wait for a replica as well.
    writing = redis_client(settings.redis_url, decode_responses=True, most=MOST_CONNECTIONS)
    writes = Replicated(writing if settings.redis_replicas else records, settings.redis_replicas, beside=records)
    # RQ is blocking and reads bytes: a client of its own.
    messages = client(settings.redis_url, **_REDIS_TIMEOUTS)
    # Asked once a scrape, which does not wait long: what fails is shown as missing.
    watcher = client(settings.redis_url, decode_responses=True, retry=_NO_RETRY, **_REDIS_TIMEOUTS)
    queue = RqJobQueue(messages)
    backlog = Backlog(watcher, queue, offered.catalogue)
    storage = open_storage(settings.storage_url)
    transport = GuardedTransport(private=settings.image_url_private)
    followers = Followers(RedisFeed(records, hearing))
    try:
        async with followers, callers_of(settings, _keys(settings, records)) as callers:
            yield Plane(
                store=AsyncRedisJobStore(records, usage_days=settings.usage_days, writes=writes),
                batches=RedisBatches(records),
                queue=queue,
                storage=storage,
                catalogue=offered.catalogue,
                counters=offered.counters,
                substitutions=offered.substitutions,
                cutting=offered.cutting,
                models_file=FollowedFile(settings.models_file, offered, settings.models_file_seconds),
                signer=UrlSigner(artifact_secret(settings.artifact_secret, settings.storage_url), settings.base_url),
                callers=callers,
                cell=settings.cell,
                prefix=settings.prefix,
                job_lifetime=settings.job_lifetime,
                url_lifetime=settings.url_lifetime,
                most_lifetime=settings.job_lifetime_most,
                unstored_lifetime=settings.unstored_lifetime,
                signs_everywhere=bool(settings.artifact_secret) or local_directory(settings.storage_url) is not None,
                queue_limit=settings.queue_limit,
                standings=backlog.standings,
                offer=backlog.offer,
                backlog=settings.backlog,
                deliveries=RedisDeliveries(records, writes),
                webhook_private=settings.webhook_private,
                images=_image_plane(settings, records, writes, storage, transport),
                followers=followers,
                audit=Audit(settings.audit_log),
                subjects=RedisSubjects(records, writes),
                stream_bound=StreamBound(settings.streams_per_key),
            )
    finally:
        await transport.aclose()
        await hearing.aclose()
        await writing.aclose()
        await records.aclose()
        messages.close()
        watcher.close()


def _keys(settings: Settings, records: redis.asyncio.Redis) -> KeyHolders:
    return KeyHolders(records, open_without_keys=settings.is_open_without_keys)


def _image_plane(
    settings: Settings,
    records: redis.asyncio.Redis,
    writes: Replicated,
    storage: ObjectStorage,
    transport: GuardedTransport,
) -> ImagePlane:
    return ImagePlane(
        records=RedisImages(records, writes),
        inversions=RedisInversions(records, writes),
        storage=storage,
        reader=ImageReader(limits_of(settings), settings.trust_anchors),
        lifetime=settings.image_lifetime,
        most=settings.images_per_key,
        cell=settings.cell,
        fetch=_fetch(settings, transport) if settings.image_urls else None,
    )


def limits_of(settings: Settings) -> ImageLimits:
    """What is read of a picture at most."""
    return ImageLimits(
        bytes=settings.max_image_bytes,
        pixels=settings.max_image_pixels,
        seconds=settings.image_seconds,
        at_once=settings.images_at_once,
        memory=settings.image_memory,
    )


def _fetch(settings: Settings, transport: GuardedTransport) -> Fetch:
    seconds = settings.image_url_seconds.total_seconds()
    return fetch_over(transport, seconds=seconds, private=settings.image_url_private)

"""What the use cases work with: opened by `service.connections`, handed to every route."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from jobs.batches import Batches
from jobs.catalogue import ModelDeclaration
from jobs.follow.followers import Followers
from jobs.redis.backlog import Standing
from jobs.redis.queue import JobQueue
from jobs.redis.store import AsyncJobStore
from jobs.storage import ObjectStorage
from layers.computing import Computing
from layers.shared_look import SharedLook
from p2p.seeds import DrawSeed, draw_seed
from prompts.counting import TokenCounter
from service.api_keys import Callers
from service.artifacts.signing import UrlSigner
from service.edits.stream_bound import StreamBound
from service.images.uploads import ImagePlane
from webhooks.deliveries import Deliveries


@dataclass(frozen=True, kw_only=True)
class Plane:
    """What a use case works with."""

    store: AsyncJobStore
    batches: Batches
    queue: JobQueue
    storage: ObjectStorage
    catalogue: Mapping[str, ModelDeclaration]
    counters: Mapping[str, TokenCounter]
    signer: UrlSigner
    callers: Callers
    job_lifetime: timedelta
    url_lifetime: timedelta
    queue_limit: timedelta
    backlog: int
    deliveries: Deliveries
    webhook_private: bool
    images: ImagePlane
    followers: Followers
    stream_bound: StreamBound
    #: Where what is large is read and checked.
    computing: Computing = field(default_factory=Computing)
    #: Stands before the path of every link (`layers.prefixed`).
    prefix: str = ""
    #: Where the seeds of edits that name none come from.
    draw: DrawSeed = draw_seed
    #: What anybody may ask for without a key, and what Redis, the storage or a thread is asked for.
    readiness: SharedLook[Mapping[str, int]] = field(default_factory=SharedLook)
    scraped: SharedLook[bytes] = field(default_factory=SharedLook)
    #: How the queues stand, for the metrics; asks Redis, and waits for it.
    standings: Callable[[], Sequence[Standing]] = tuple

    def url(self, key: str) -> str:
        """Where a client fetches an artifact, for a while: made anew for each answer, never kept."""
        return self.storage.presigned_url(key, self.url_lifetime) or self.signer.url(key, self.url_lifetime)

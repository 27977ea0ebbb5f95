"""What the use cases work with: opened by `service.connections`, handed to every route."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from p2p.seeds import DrawSeed, draw_seed
from service.api_keys import Callers
from service.followers import Followers
from service.images.uploads import ImagePlane
from service.jobs.backlog import Standing
from service.jobs.batches import Batches
from service.jobs.catalogue import ModelDeclaration
from service.jobs.queue import JobQueue
from service.jobs.storage import ObjectStorage
from service.jobs.store import AsyncJobStore
from service.signing import UrlSigner
from service.stream_bound import StreamBound
from service.tokens import TokenCounter
from service.webhooks.deliveries import Deliveries


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
    #: Stands before the path of every link (`service.public_url`).
    prefix: str = ""
    #: Where the seeds of edits that name none come from.
    draw: DrawSeed = draw_seed
    #: How the queues stand, for the metrics; asks Redis, and waits for it.
    standings: Callable[[], Sequence[Standing]] = tuple

    def url(self, key: str) -> str:
        """Where a client fetches an artifact, for a while: made anew for each answer, never kept."""
        return self.storage.presigned_url(key, self.url_lifetime) or self.signer.url(key, self.url_lifetime)

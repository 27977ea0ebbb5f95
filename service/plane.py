"""What the use cases work with: opened by `service.connections`, handed to every route."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from jobs.batches import Batches
from jobs.catalogue import ModelDeclaration
from jobs.follow.followers import Followers
from jobs.redis.backlog import Standing
from jobs.redis.queue import JobQueue
from jobs.redis.store import AsyncJobStore
from jobs.redis.subjects import NoSubjects, Subjects
from jobs.storage import ObjectStorage
from layers.computing import Computing
from layers.shared_look import SharedLook
from p2p.seeds import DrawSeed, draw_seed
from process.audit import NO_AUDIT, Audit
from process.turns import Turns
from prompts.counting import TokenCounter
from prompts.schedulers import Substitution
from service.api_keys import Callers
from service.artifacts.signing import UrlSigner
from service.edits.stream_bound import StreamBound
from service.http.later import Later
from service.images.uploads import ImagePlane
from service.models.offered import Offered
from service.models.reloading import FollowedFile
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
    #: By model, where a scheduler runs in the place of its own that nobody has asked for.
    substitutions: Mapping[str, Substitution] = field(default_factory=dict)
    #: By model, the setting of its scheduler that cuts values off, where one does.
    cutting: Mapping[str, str] = field(default_factory=dict)
    #: Where the four are read again while the API serves; None for what is given and stays.
    models_file: FollowedFile | None = None
    signer: UrlSigner
    callers: Callers
    job_lifetime: timedelta
    url_lifetime: timedelta
    #: The longest that a request may have its edit kept; where it is None, `job_lifetime`.
    most_lifetime: timedelta | None = None
    #: How long what is not stored is kept after its end.
    unstored_lifetime: timedelta = timedelta(minutes=10)
    #: Whether every API process takes the URLs that this one signs.
    signs_everywhere: bool = True
    queue_limit: timedelta
    backlog: int
    deliveries: Deliveries
    webhook_private: bool
    images: ImagePlane
    followers: Followers
    stream_bound: StreamBound
    subjects: Subjects = field(default_factory=NoSubjects)
    audit: Audit = NO_AUDIT
    #: Where what is large is read and checked.
    computing: Computing = field(default_factory=Computing)
    #: What requests leave behind.
    later: Later = field(default_factory=Later)
    #: Pages of lists that are made at the same time; of one key a single one.
    listings: Turns = field(default_factory=lambda: Turns(2))
    #: Stands in the ids of edits and batches; "" where the installation is no cell.
    cell: str = ""
    #: Stands before the path of every link (`layers.prefixed`).
    prefix: str = ""
    #: Where the seeds of edits that name none come from.
    draw: DrawSeed = draw_seed
    #: What anybody may ask for without a key, and what Redis, the storage or a thread is asked for.
    readiness: SharedLook[Mapping[str, int]] = field(default_factory=SharedLook)
    scraped: SharedLook[bytes] = field(default_factory=SharedLook)
    #: How the queues stand, for the metrics; asks Redis, and waits for it.
    standings: Callable[[], Sequence[Standing]] = tuple
    #: Has them shown for the models that are offered.
    offer: Callable[[Iterable[str]], None] = lambda models: None

    def offering(self, offered: Offered) -> "Plane":
        """The same with other models."""
        self.offer(offered.catalogue)
        return replace(
            self,
            catalogue=offered.catalogue,
            counters=offered.counters,
            substitutions=offered.substitutions,
            cutting=offered.cutting,
        )

    def for_models(self, names: Collection[str] | None) -> "Plane":
        """The same, for somebody who may use these models alone; None for all."""
        if names is None:
            return self
        return replace(self, catalogue={name: each for name, each in self.catalogue.items() if name in names})

    @property
    def longest_lifetime(self) -> timedelta:
        """The longest that an edit is kept after its end."""
        return max(self.job_lifetime, self.most_lifetime or self.job_lifetime)

    @property
    def longest(self) -> timedelta:
        """How long a record may be there, beside its run."""
        return self.queue_limit + self.longest_lifetime

    def url_once(self, key: str) -> str:
        """Where a client fetches an artifact, for a while and once."""
        return self.signer.url(key, self.url_lifetime, once=True)

    def url(self, key: str) -> str:
        """Where a client fetches an artifact, for a while: made anew for each answer, never kept."""
        return self.storage.presigned_url(key, self.url_lifetime) or self.signer.url(key, self.url_lifetime)

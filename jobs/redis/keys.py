"""The names of everything this service keeps in Redis, beside what RQ keeps under `rq:`.

Each has a lifetime: the key of a job ends with the job, an index when nothing it can hold is left.
"""

#: Models that jobs were made for: a set.
MODELS = "models"
#: What lies in the object storage by when it is to be removed: a sorted set.
LITTER = "litter"
#: Ends of jobs whose webhooks may have to be sent: a stream.
OUTBOX = "outbox"
#: The last entry of the outbox that a sender has put on the list below.
SEEN = "outbox:seen"
#: Jobs whose webhooks are due, by the millisecond of the next attempt: a sorted set.
DUE = "outbox:due"
#: What is written before replicas are waited for (`jobs.redis.replicated`): an empty text.
WAITED = "waited"
#: Jobs that failed because their workers were lost, by when: a sorted set.
DEAD = "dead"


def batch(batch_id: str) -> str:
    """A batch: a hash (`jobs.batches`)."""
    return f"batch:{batch_id}"


def batch_events(batch_id: str) -> str:
    """The stream of a batch's end, for clients that wait."""
    return f"batch:{batch_id}:events"


def record_of(subject: str) -> str:
    """What an end is kept with. A subject is a job's id, or a batch's key: that whose end is sent."""
    return subject if subject.startswith("batch:") else record(subject)


def record(job_id: str) -> str:
    """A job: a hash, one field of `Job` each, as JSON."""
    return f"job:{job_id}"


def events(job_id: str) -> str:
    """The events of a job, for its followers: a stream."""
    return f"job:{job_id}:events"


def followed(stream: str) -> str:
    """Says that a client reads a job's events as they come; by the job's stream of events, and for a while only."""
    return f"{stream.removesuffix(':events')}:followed"


def waiting(model: str) -> str:
    """A model's queued jobs by the millisecond until which somebody must begin them: a sorted set."""
    return f"waiting:{model}"


def order(model: str) -> str:
    """The messages of a model's queued jobs by their start tags (`lua/fair.lua`): a sorted set.

    Beside it that script keeps `fair:{model}`, the virtual times of the model and of its owners, and
    `line:{model}:{owner}`, an owner's messages by whose turn it is among them.
    """
    return f"order:{model}"


def deep(model: str) -> str:
    """The messages of a model that are not in RQ's list yet, by their start tags (`lua/push.lua`): a sorted set."""
    return f"deep:{model}"


def pace(model: str) -> str:
    """How long a model's jobs take of late: a hash."""
    return f"pace:{model}"


def loading(model: str) -> str:
    """The worker of several models that loads a model just now: a text, which goes soon after its worker."""
    return f"loading:{model}"


def active(owner: str) -> str:
    """An owner's jobs that have not ended, by when their records would go: a sorted set."""
    return f"active:{owner}"


def running(owner: str) -> str:
    """Those of an owner's active jobs that a worker has, by when their records would go: a sorted set."""
    return f"running:{owner}"


def owned(owner: str) -> str:
    """All of an owner's jobs by when they were made: a sorted set."""
    return f"owned:{owner}"


def bucket(owner: str) -> str:
    """How many jobs an owner may post at the moment: a hash."""
    return f"bucket:{owner}"


def named(owner: str, name: str) -> str:
    """What an owner's name for a request stands for: the request's fingerprint and its jobs."""
    return f"named:{owner}:{name}"


def usage(day: int) -> str:
    """What was used on a day since 1970 (UTC): a hash, of each owner several fields (`jobs.usage`)."""
    return f"usage:{day}"


def leases(model: str) -> str:
    """A model's running jobs by the millisecond until which their worker is taken for alive: a sorted set."""
    return f"leases:{model}"


def telling(subject: str) -> str:
    """An end whose webhook is not delivered yet: a hash."""
    return f"{record_of(subject)}:telling"


def deliveries(subject: str) -> str:
    """Attempts to send an end's webhook, the oldest first: a list of JSON texts, which ends with the record."""
    return f"{record_of(subject)}:deliveries"


def image(image_id: str) -> str:
    """A picture that a client sent: a hash."""
    return f"image:{image_id}"


def inversion(inversion_id: str) -> str:
    """A picture's inversion that is kept: its record as JSON."""
    return f"inversion:{inversion_id}"


def inversions(owner: str) -> str:
    """An owner's inversions by when they expire: a sorted set."""
    return f"inversions:{owner}"


def source(owner: str, digest: str) -> str:
    """Where the run of a source lies that is kept."""
    return f"source:{owner}:{digest}"


def subject(owner: str, name: str) -> str:
    """What is an owner's subject's, by when it is forgotten at the latest: a sorted set (`jobs.redis.subjects`)."""
    return f"subject:{owner}:{name}"


def images(owner: str) -> str:
    """An owner's pictures by when they expire: a sorted set."""
    return f"images:{owner}"

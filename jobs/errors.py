"""Everything the job plane raises on purpose:

    JobPlaneError
    ├── JobNotFound        no such job, or it is past its lifetime
    ├── BatchNotFound      no such batch, or it is past its lifetime
    ├── NewerRecord        a newer version of this program wrote the record
    ├── IllegalTransition  the job's state does not allow it, or another execution holds the job
    ├── StillActive        a job that has not ended cannot be erased
    ├── UnsafeRedis        Redis may drop jobs when its memory is full
    ├── RefusedRedis       the setting REDIS_URL can never work with what answers there
    ├── NotReplicated      it was done, and a failover of Redis may undo it; `retry_after` says when to send it again
    ├── NameReused         a request's name stands for another request already
    ├── Refused            not now; `retry_after` says when
    │   ├── RateLimited    the owner has posted too many jobs of late
    │   ├── QuotaReached   the owner has used what it may use in a day
    │   ├── TooManyActive  the owner has too many jobs that wait or run
    │   ├── TooManyWaiting the owner has too many jobs that wait
    │   ├── QueueFull      the model's queue is as long as it may be
    │   ├── TooManyStreams the owner has as many waits and event streams open as it may
    │   └── TooManyImages  the owner keeps as many pictures as the installation allows
    ├── StorageUnavailable the object storage did not take or give an object
    ├── ArtifactNotFound   no object has this key
    ├── ImageNotFound      no such picture of this owner, or it is past its lifetime
    ├── InversionNotFound  no such inversion of this owner, or it is past its lifetime
    ├── InvalidStorage     the setting STORAGE_URL cannot be used
    └── InvalidCatalogue   the models file cannot be used

`code` is stable and part of the API: a row of `process/errors.toml`, which has its HTTP status. The message says what
was given, what was needed and what to do; if there is nothing to fill in, it is the row's own.
"""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from process.error_codes import message_of
from process.masked import masked


class JobPlaneError(Exception):
    """Base of the tree above."""

    code: ClassVar[str] = "job_plane_error"


class JobNotFound(JobPlaneError):
    """No record has this id."""

    code = "job_not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__(message_of(self.code))
        self.job_id = job_id


class BatchNotFound(JobPlaneError):
    """No batch has this id."""

    code = "batch_not_found"

    def __init__(self, batch_id: str) -> None:
        super().__init__(message_of(self.code))
        self.batch_id = batch_id


class NewerRecord(JobPlaneError):
    """The record is of a schema that this version does not know: it is left to one that does."""

    code = "newer_record"

    def __init__(self, version: int) -> None:
        super().__init__(f"this edit was taken by a newer version of the service (schema {version}): ask again")
        self.version = version


class IllegalTransition(JobPlaneError):
    """A change of a job that its present state, or its present execution, does not allow."""

    code = "illegal_transition"

    def __init__(self, job_id: str, status: str, wanted: str) -> None:
        super().__init__(f"job {job_id} is {status} and cannot become {wanted} by this writer")
        self.job_id, self.status, self.wanted = job_id, status, wanted


class StillActive(JobPlaneError):
    """The job waits or runs."""

    code = "still_active"

    def __init__(self, status: str) -> None:
        super().__init__(f"the edit is {status} and only one that has ended can be erased: cancel it first")


class UnsafeRedis(JobPlaneError):
    """Redis is set to forget keys when its memory is full, and every key here is part of a job."""

    code = "unsafe_redis"

    def __init__(self, policy: str) -> None:
        super().__init__(f"Redis may drop jobs: its maxmemory-policy is {policy}, set it to noeviction")


class RefusedRedis(JobPlaneError):
    """REDIS_URL is well formed, and what answers there shows that it can never work."""

    code = "refused_redis"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"REDIS_URL {masked(url)!r}: {reason}")


class NotReplicated(JobPlaneError):
    """It was done, and too few replicas of Redis have it: a failover may undo it.

    Attributes:
        retry_after: seconds after which it may be sent again.
    """

    code = "not_replicated"
    retry_after: ClassVar[float] = 2.0

    def __init__(self, number: int) -> None:
        super().__init__(f"{message_of(self.code)} (REDIS_REPLICAS is {number})")


class NameReused(JobPlaneError):
    """The owner has used this name for a request that asked for something else."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class Refused(JobPlaneError):
    """Nothing was accepted, for a reason that passes.

    Attributes:
        retry_after: seconds until it may be accepted.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(Refused):
    """The owner's bucket is empty."""

    code = "rate_limited"
    policy = "edits"

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many edits were posted with this key: the next fits in {retry_after:.1f} s", retry_after)


class QuotaReached(Refused):
    """The owner has used what its key allows in a day, or asks for more than is left of it.

    Args:
        wanted: how much of it the request takes at once; 0 where that is known at its end.

    Attributes:
        policy: which of its limits, as `RateLimit` names it.
        remaining: what is left of it, in whole units.
    """

    code = "quota_reached"

    def __init__(self, policy: str, used: float, allowed: float, retry_after: float, *, wanted: int = 0) -> None:
        opens = datetime.now(UTC) + timedelta(seconds=retry_after)
        self.policy, what = policy, policy.replace("_", " ").replace("gpu", "GPU")
        self.remaining = max(0, int(allowed - used))
        message = f"this key has used {used:g} of the {allowed:g} {what} that it may use in a day (UTC)"
        message += f", and this asks for {wanted}" if wanted else ""
        mend = f"it may go on from {opens:%Y-%m-%dT%H:%M}Z"
        if wanted > allowed:
            mend = f"no day has room for it, so ask for at most {allowed:g} at once"
        elif wanted and self.remaining:
            mend = f"ask for at most {self.remaining} now; {mend}"
        super().__init__(f"{message}: {mend}", retry_after)


class TooManyActive(Refused):
    """The owner has as many jobs under way as the key allows."""

    code = "too_many_active"

    def __init__(self, waiting: int, running: int, allowed: int, retry_after: float) -> None:
        there = f"{waiting} edits of this key wait and {running} run"
        super().__init__(f"{there}, and it may have {allowed} together: wait for one, or cancel one", retry_after)


class TooManyWaiting(Refused):
    """The owner has as many jobs that no worker has begun as the key allows."""

    code = "too_many_waiting"

    def __init__(self, waiting: int, allowed: int, retry_after: float) -> None:
        message = f"{waiting} edits of this key wait, and {allowed} may: wait until one is begun, or cancel one"
        super().__init__(message, retry_after)


class QueueFull(Refused):
    """The model has as many jobs waiting as the installation allows."""

    code = "queue_full"

    def __init__(self, model: str, waiting: int, retry_after: float) -> None:
        message = f"{waiting} edits wait for {model}, and no more are taken: try again in {retry_after:.0f} s"
        super().__init__(message, retry_after)


class StorageUnavailable(JobPlaneError):
    """The object storage failed, for another reason than a missing object."""

    code = "storage_unavailable"

    def __init__(self, action: str) -> None:
        super().__init__(f"the storage could not {action}: try again in a moment")


class ArtifactNotFound(JobPlaneError):
    """No object lies under this key."""

    code = "artifact_not_found"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class ImageNotFound(JobPlaneError):
    """No picture of this owner has this id."""

    code = "image_not_found"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class InversionNotFound(JobPlaneError):
    """No inversion of this owner has this id."""

    code = "inversion_not_found"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class TooManyImages(Refused):
    """The owner keeps as many pictures as the installation allows."""

    code = "too_many_images"

    def __init__(self, allowed: int, retry_after: float) -> None:
        message = f"this key keeps {allowed} images, and no more are taken: delete one, or wait until one expires"
        super().__init__(message, retry_after)


class TooManyStreams(Refused):
    """The owner has as many waits and event streams open at this process as it may."""

    code = "too_many_streams"

    #: Seconds after which one of them may have been closed; a client that polls is never refused.
    RETRY_AFTER: ClassVar[float] = 5.0

    def __init__(self, streams: int, allowed: int) -> None:
        message = (
            f"{streams} waits and event streams of this key are open, and it may have {allowed}: "
            "close one, or ask without `wait`"
        )
        super().__init__(message, self.RETRY_AFTER)


class InvalidStorage(JobPlaneError):
    """The setting of the object storage says something it may not; its text is not repeated, it may hold a secret."""

    code = "invalid_storage"

    def __init__(self, reason: str) -> None:
        super().__init__(f"STORAGE_URL cannot be used: {reason}")


class InvalidCatalogue(JobPlaneError):
    """The models file is missing or says something it may not."""

    code = "invalid_catalogue"

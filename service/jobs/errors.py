"""Everything the job plane raises on purpose:

    JobPlaneError
    ├── JobNotFound        no such job, or it is past its lifetime
    ├── IllegalTransition  the job's state does not allow it, or another execution holds the job
    ├── QueueUnavailable   the queue did not take a job
    ├── StorageUnavailable the object storage did not take or give an object
    ├── ArtifactNotFound   no object has this key
    └── InvalidCatalogue   the models file cannot be used

`code` is stable and part of the API; the message says what was given, what was needed and what to do.
"""

from typing import ClassVar


class JobPlaneError(Exception):
    """Base of the tree above."""

    code: ClassVar[str] = "job_plane_error"


class JobNotFound(JobPlaneError):
    """No record has this id."""

    code = "job_not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__("there is no such edit, or its lifetime is over: post it again")
        self.job_id = job_id


class IllegalTransition(JobPlaneError):
    """A change of a job that its present state, or its present execution, does not allow."""

    code = "illegal_transition"

    def __init__(self, job_id: str, status: str, wanted: str) -> None:
        super().__init__(f"job {job_id} is {status} and cannot become {wanted} by this writer")
        self.job_id, self.status, self.wanted = job_id, status, wanted


class QueueUnavailable(JobPlaneError):
    """The queue did not take the job; nothing of it is left behind."""

    code = "queue_unavailable"

    def __init__(self) -> None:
        super().__init__("the edit was not accepted because the queue cannot be reached: send it again in a moment")


class StorageUnavailable(JobPlaneError):
    """The object storage failed, for another reason than a missing object."""

    code = "storage_unavailable"

    def __init__(self, action: str) -> None:
        super().__init__(f"the storage could not {action}: try again in a moment")


class ArtifactNotFound(JobPlaneError):
    """No object lies under this key."""

    code = "artifact_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such artifact: fetch the edit again for its present artifacts")


class InvalidCatalogue(JobPlaneError):
    """The models file is missing or says something it may not."""

    code = "invalid_catalogue"

"""What a queued message calls: `worker.tasks.run_edit`, by name (`service.jobs.queue.TASK`).

RQ calls a plain function, and the model it needs is in this process already: `take_post` says once, before the worker
listens, what the function works with.
"""

import logging
from dataclasses import dataclass
from functools import partial

from service.jobs.errors import IllegalTransition, JobNotFound, StorageUnavailable
from service.jobs.events import Failed
from service.jobs.sources import KeptSources
from service.jobs.storage import ObjectStorage
from service.jobs.store import JobStore
from worker.engine import Engine
from worker.kept_sources import kept_source
from worker.publishing import Publisher

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Post:
    """What this process works off jobs with."""

    engine: Engine
    store: JobStore
    storage: ObjectStorage
    sources: KeptSources


_post: Post | None = None


def take_post(post: Post | None) -> None:
    """Set what `run_edit` works with in this process."""
    global _post
    _post = post


def run_edit(job_id: str) -> None:
    """Work one job off. How it ended is in its record; nothing is raised for what went wrong inside it."""
    if _post is None:
        raise RuntimeError("no model is resident in this process: start it with `python -m worker --model ID`")
    try:
        publisher = Publisher(_post.store.get(job_id), _post.store, _post.storage, _post.sources)
        find = partial(kept_source, publisher.job.owner, sources=_post.sources, storage=_post.storage)
        try:
            for event in _post.engine.run(publisher.job, find):
                publisher.handle(event)
        except (IllegalTransition, JobNotFound):
            raise
        except StorageUnavailable as error:
            log.exception("job %s: an artifact was not stored", job_id)
            publisher.handle(Failed(code=error.code, message="the results could not be stored: send the edit again"))
        except Exception:
            log.exception("job %s could not be published", job_id)
            publisher.handle(Failed(code="internal_error", message="something failed here: send the edit again"))
    except (IllegalTransition, JobNotFound) as reason:
        # Canceled while it waited, or over: the record has the last word.
        log.info("passed over: %s", reason)

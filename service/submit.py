"""The use cases: submit, fetch, cancel, erase. The only place where store, queue and storage meet.

An edit that was answered with 202 is in the store and in its model's queue. The record comes first, because a worker
may take the id the moment it is queued; where the queue then refuses, the record goes again and the client is told.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import redis
from anyio import to_thread

from p2p.spec import EditSpec
from service.errors import InvalidEdit, NotCancelable
from service.invalid_input import Complaint
from service.jobs import moves
from service.jobs.backlog import Standing
from service.jobs.catalogue import ModelDeclaration
from service.jobs.errors import IllegalTransition, StorageUnavailable
from service.jobs.logs import bind
from service.jobs.metrics import JOBS_ACCEPTED
from service.jobs.model import Job, JobStatus, job_prefix, new_job
from service.jobs.queue import JobQueue
from service.jobs.storage import ObjectStorage
from service.jobs.store import AsyncJobStore
from service.jobs.trace import Trace
from service.signing import UrlSigner
from service.tokens import TokenCounter


@dataclass(frozen=True, kw_only=True)
class Plane:
    """What a use case works with."""

    store: AsyncJobStore
    queue: JobQueue
    storage: ObjectStorage
    catalogue: Mapping[str, ModelDeclaration]
    counters: Mapping[str, TokenCounter]
    signer: UrlSigner
    job_lifetime: timedelta
    url_lifetime: timedelta
    queue_limit: timedelta
    #: How the queues stand, for the metrics; asks Redis, and waits for it.
    standings: Callable[[], Sequence[Standing]] = tuple

    def url(self, key: str) -> str:
        """Where a client fetches an artifact, for a while: made anew for each answer, never kept."""
        return self.storage.presigned_url(key, self.url_lifetime) or self.signer.url(key, self.url_lifetime)


async def submit(spec: EditSpec, plane: Plane, *, traceparent: str | None = None) -> Job:
    """Accept an edit: check it against its model, record it, queue it.

    Args:
        traceparent: the request's; one that is absent or invalid is made anew.

    Raises:
        InvalidEdit: the model is unknown, or it cannot do this.
        QueueUnavailable: nothing was accepted.
    """
    made = resolved(spec, plane)
    trace = Trace.parse(traceparent) or Trace.new()
    job = new_job(made, lifetime=plane.job_lifetime, queue_limit=plane.queue_limit, traceparent=trace.header)
    bind(job_id=job.id, model=job.model, trace_id=trace.trace_id)
    await plane.store.create(job)
    try:
        # RQ's client blocks; so it does not hold up the other requests.
        await to_thread.run_sync(plane.queue.enqueue, job)
    except BaseException:
        with suppress(redis.RedisError):
            await plane.store.remove(job)
        raise
    JOBS_ACCEPTED.labels(job.model).inc()
    return job


async def fetch(job_id: str, plane: Plane) -> Job:
    """The edit as it stands; raises `JobNotFound`."""
    return await plane.store.get(job_id)


async def cancel(job_id: str, plane: Plane) -> Job:
    """Cancel a queued edit at once, have a running one stopped before its next step; a canceled one stays so.

    Raises:
        JobNotFound: there is no such edit.
        NotCancelable: it has ended otherwise.
    """
    while True:
        job = await plane.store.get(job_id)
        move = CANCELING.get(job.status)
        if move is None:
            if job.status is not JobStatus.CANCELED:
                raise NotCancelable(job.status)
            return job
        try:
            job = await plane.store.make(move(job))
        except IllegalTransition:
            continue  # begun, handed back or ended between the two: look again
        if job.status is JobStatus.CANCELED:
            # Only tidiness: a worker that still gets the id sees the record and passes over it.
            with suppress(redis.RedisError):
                await to_thread.run_sync(plane.queue.discard, job)
        return job


#: How a job is canceled, by its state.
CANCELING: Mapping[JobStatus, Callable[[Job], moves.Move]] = {
    JobStatus.QUEUED: moves.cancel,
    JobStatus.RUNNING: moves.ask_to_stop,
}


async def erase(job_id: str, plane: Plane) -> None:
    """Forget an edit that has ended, and remove what it left.

    Raises:
        JobNotFound: there is no such edit.
        StillActive: it waits or runs.
    """
    await plane.store.erase(job_id)
    # The reaper would as well, a moment later, and does where this fails.
    with suppress(StorageUnavailable):
        await to_thread.run_sync(plane.storage.remove_all, job_prefix(job_id))


def resolved(spec: EditSpec, plane: Plane) -> EditSpec:
    """The spec with its model's defaults filled in, so that the record says all that decides the result.

    Raises:
        InvalidEdit: with every reason why the model cannot do it.
    """
    if spec.model not in plane.catalogue:
        offered = ", ".join(plane.catalogue)
        detail = f"there is no model {spec.model!r} here: choose one of {offered}"
        raise InvalidEdit([Complaint.at("model", code="unknown_model", detail=detail)])
    model = plane.catalogue[spec.model]
    asked, (height, width) = spec.sampling, model.sizes[0]
    sampling = asked.model_copy(
        update={
            "steps": model.defaults.steps if asked.steps is None else asked.steps,
            "guidance_scale": model.defaults.guidance_scale if asked.guidance_scale is None else asked.guidance_scale,
            "height": height if asked.height is None else asked.height,
            "width": width if asked.width is None else asked.width,
        }
    )
    complete = spec.model_copy(update={"sampling": sampling})
    if complaints := list(_beyond(complete, model, plane.counters[model.id])):
        raise InvalidEdit(complaints)
    return complete


def _beyond(spec: EditSpec, model: ModelDeclaration, counter: TokenCounter) -> Iterator[Complaint]:
    """What of a complete spec is beyond the model."""
    sampling, limits = spec.sampling, model.limits
    if (steps := sampling.steps or 0) > limits.max_steps:
        detail = f"{steps} steps, and {model.id} takes at most {limits.max_steps}: ask for fewer"
        yield Complaint.at("sampling", "steps", code="too_many_steps", detail=detail)
    if len(spec.targets) > limits.max_targets:
        detail = f"{len(spec.targets)} targets, and {model.id} takes at most {limits.max_targets}: send the rest apart"
        yield Complaint.at("targets", code="too_many_targets", detail=detail)
    if (sampling.height, sampling.width) not in model.sizes:
        offered = ", ".join(f"{height}x{width}" for height, width in model.sizes)
        detail = f"{sampling.height}x{sampling.width} (height x width) is not offered by {model.id}: choose {offered}"
        field = "height" if all(height != sampling.height for height, _ in model.sizes) else "width"
        yield Complaint.at("sampling", field, code="size_not_offered", detail=detail)
    for location, prompt in _prompts(spec):
        if (tokens := counter.count(prompt)) > model.max_tokens:
            detail = f"{tokens} tokens with start and end, and {model.id} reads {model.max_tokens}: shorten it"
            yield Complaint.at(*location, code="prompt_too_long", detail=detail)


def _prompts(spec: EditSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    yield ("source", "prompt"), spec.source.prompt
    yield from ((("targets", index, "prompt"), target.prompt) for index, target in enumerate(spec.targets))
    yield ("sampling", "negative_prompt"), spec.sampling.negative_prompt

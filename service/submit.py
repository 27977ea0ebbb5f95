"""The use cases: submit, fetch, list, cancel, erase, and what came of a webhook. The only place where store, queue and
storage meet.

Each is done for a caller, who sees its own edits and no others: somebody else's edit is answered like none at all.

An edit that was answered with 202 is in the store and in its model's queue: one turn of Redis did both.
"""

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from anyio import to_thread

from p2p.spec import EditSpec
from service.addresses import UrlRefused, checked_url, refuse_private
from service.api_keys import Caller, Callers
from service.errors import InvalidCursor, InvalidEdit, NobodyToTell, NotCancelable, NotEnded
from service.images import uploads
from service.images.uploads import ImagePlane
from service.invalid_input import Complaint
from service.jobs import moves
from service.jobs.admission import Admission
from service.jobs.backlog import Standing
from service.jobs.catalogue import ModelDeclaration
from service.jobs.errors import IllegalTransition, JobNotFound, StorageUnavailable
from service.jobs.logs import bind
from service.jobs.metrics import JOBS_ACCEPTED
from service.jobs.model import Job, JobStatus, Priority, Webhook, job_prefix, new_job
from service.jobs.queue import JobQueue
from service.jobs.storage import ObjectStorage
from service.jobs.store import AsyncJobStore
from service.jobs.trace import Trace
from service.signing import UrlSigner
from service.tokens import TokenCounter
from service.webhooks.deliveries import Attempt, Deliveries
from service.webhooks.messages import is_wanted

#: What our own ids look like: uuid4's hex. A client's own may look alike; ours goes first, if it is the client's.
_OURS = re.compile(r"[0-9a-f]{32}")
_PLACE = re.compile(r"(\d{1,15}) ([0-9a-f]{32})")
#: Reads of one listing: with a rare state it would else go through everything that its owner ever posted.
PAGE_READS = 10


@dataclass(frozen=True, kw_only=True)
class Plane:
    """What a use case works with."""

    store: AsyncJobStore
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
    #: How the queues stand, for the metrics; asks Redis, and waits for it.
    standings: Callable[[], Sequence[Standing]] = tuple

    def url(self, key: str) -> str:
        """Where a client fetches an artifact, for a while: made anew for each answer, never kept."""
        return self.storage.presigned_url(key, self.url_lifetime) or self.signer.url(key, self.url_lifetime)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An edit as it is asked for: what is to be made, and what concerns the job alone.

    Attributes:
        traceparent: the request's; one that is absent or invalid is made anew.
    """

    spec: EditSpec
    priority: Priority = "normal"
    start_within: timedelta | None = None
    webhook: Webhook | None = None
    traceparent: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for the same request, whoever traces it."""
        text = f"{self.spec.model_dump_json()} {self.priority} {self.start_within} {self.webhook}"
        return hashlib.sha256(text.encode()).hexdigest()


async def submit(asked: Asked, plane: Plane, caller: Caller, *, name: str | None = None) -> tuple[Job, bool]:
    """Accept an edit: check it against its model, record it, queue it; gives the job, and whether it was there before.

    Args:
        name: what the caller calls the request; the same request by the same name is the same job.
    Raises:
        InvalidEdit: the model is unknown, or it cannot do this, or the webhook's address is not public.
        NameReused: the name stands for another request.
        Refused: nothing was accepted, for now.
    """
    if asked.webhook is not None and not plane.webhook_private:
        _refuse_private(asked.webhook)
    trace = Trace.parse(asked.traceparent) or Trace.new()
    limit = plane.queue_limit if asked.start_within is None else min(asked.start_within, plane.queue_limit)
    job = new_job(
        resolved(asked.spec, plane),
        lifetime=plane.job_lifetime,
        queue_limit=limit,
        owner=caller.owner,
        priority=asked.priority,
        webhook=asked.webhook,
        traceparent=trace.header,
    )
    bind(model=job.model, trace_id=trace.trace_id)
    # What was posted before is that job, whatever has become of its picture's URL since.
    if name is None or await plane.store.named(caller.owner, name) is None:
        spec = await uploads.settled(job.spec, plane.images, caller, until=job.expires_at)
        job = job.model_copy(update={"spec": spec})
    limits = replace(caller.limits, backlog=plane.backlog)
    admission = Admission(jobs=[job], limits=limits, name=name, fingerprint=asked.fingerprint if name else "")
    admitted = await plane.store.admit(admission)
    if admitted.replayed:
        there = await plane.store.get(admitted.job_ids[0])
        bind(job_id=there.id)
        return there, True
    bind(job_id=job.id)
    JOBS_ACCEPTED.labels(job.model).inc()
    return job, False


async def fetch(job_id: str, plane: Plane, caller: Caller) -> Job:
    """The edit as it stands, by our id or by the caller's own; raises `JobNotFound`."""
    if _OURS.fullmatch(job_id):
        with suppress(JobNotFound):
            return _seen(await plane.store.get(job_id), caller)
    found = await plane.store.named(caller.owner, own_id(job_id))
    if found is None:
        raise JobNotFound(job_id)
    return _seen(await plane.store.get(found), caller)


def own_id(job_id: str) -> str:
    """The name of a request that a client gave an id to."""
    return f"id:{job_id}"


def _seen(job: Job, caller: Caller) -> Job:
    if job.owner != caller.owner:
        raise JobNotFound(job.id)
    bind(job_id=job.id)
    return job


@dataclass(frozen=True)
class Page:
    """Some of a caller's edits, the newest first; `cursor` asks for the next ones, None where there are none."""

    jobs: Sequence[Job]
    cursor: str | None


async def page(plane: Plane, caller: Caller, *, status: JobStatus | None, cursor: str | None, limit: int) -> Page:
    """A page of a caller's edits; raises `InvalidCursor`."""
    found: list[Job] = []
    before = None if cursor is None else _place(cursor)
    # As many looks as make a page of everybody's patience: a page may be short, and its cursor goes on.
    for _ in range(PAGE_READS):
        owned = await plane.store.owned(caller.owner, before, limit)
        for each in owned:
            before = each.at
            if each.job is not None and status in (None, each.job.status):
                found.append(each.job)
                if len(found) == limit:
                    return Page(found, _cursor(before))
        if len(owned) < limit:
            return Page(found, None)
    return Page(found, before and _cursor(before))


def _cursor(place: tuple[float, str]) -> str:
    return urlsafe_b64encode(f"{place[0]:.0f} {place[1]}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[float, str]:
    try:
        place = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError as error:
        raise InvalidCursor from error
    if (found := _PLACE.fullmatch(place)) is None:
        raise InvalidCursor
    return float(found[1]), found[2]


async def cancel(job_id: str, plane: Plane, caller: Caller) -> Job:
    """Cancel a queued edit at once, have a running one stopped before its next step; a canceled one stays so.

    Raises:
        JobNotFound: there is no such edit.
        NotCancelable: it has ended otherwise.
    """
    while True:
        job = await fetch(job_id, plane, caller)
        move = CANCELING.get(job.status)
        if move is None:
            if job.status is not JobStatus.CANCELED:
                raise NotCancelable(job.status)
            return job
        try:
            return await plane.store.make(move(job))
        except IllegalTransition:
            continue  # begun, handed back or ended between the two: look again


#: How a job is canceled, by its state.
CANCELING: Mapping[JobStatus, Callable[[Job], moves.Move]] = {
    JobStatus.QUEUED: moves.cancel,
    JobStatus.RUNNING: moves.ask_to_stop,
}


async def erase(job_id: str, plane: Plane, caller: Caller) -> None:
    """Forget an edit that has ended, and remove what it left.

    Raises:
        JobNotFound: there is no such edit.
        StillActive: it waits or runs.
    """
    job = await fetch(job_id, plane, caller)
    await plane.store.erase(job)
    # The reaper would as well, a moment later, and does where this fails.
    with suppress(StorageUnavailable):
        await to_thread.run_sync(plane.storage.remove_all, job_prefix(job.id))


async def deliveries(job: Job, plane: Plane) -> tuple[tuple[Attempt, ...], datetime | None]:
    """The attempts to tell of an edit's end, and when the next one is due."""
    return await plane.deliveries.attempts(job), await plane.deliveries.next_at(job)


async def deliver_again(job_id: str, plane: Plane, caller: Caller) -> Job:
    """Have an edit's end told once more, at once, whatever the receiver answered before.

    Raises:
        JobNotFound: there is no such edit.
        NotEnded: there is no end to tell of.
        NobodyToTell: its webhook does not want this end, and nobody was told of it before.
    """
    job = await fetch(job_id, plane, caller)
    if not job.status.is_terminal:
        raise NotEnded(job.status)
    # Whether the installation names an address is the sender's to know; it has called it then, and that is in the log.
    if not is_wanted(job, by_installation=False) and not await plane.deliveries.attempts(job):
        raise NobodyToTell
    await plane.deliveries.send_again(job)
    return job


def _refuse_private(webhook: Webhook) -> None:
    try:
        refuse_private(checked_url(webhook.url))
    except UrlRefused as error:
        raise InvalidEdit([Complaint.at("webhook", "url", code=error.code, detail=str(error))]) from error


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

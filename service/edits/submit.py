"""The use cases: submit, fetch, cancel, erase, and the deliveries of a webhook (`service.edits.listing` lists).

The only place where store, queue and storage meet.

Each is done for a caller, who sees its own edits and no others: somebody else's edit is answered like none at all.

An edit that was answered with 202 is in the store and in its model's queue: one turn of Redis did both.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

from anyio import to_thread

from jobs import moves
from jobs.admission import Admission, Admitted, Limits
from jobs.catalogue import ModelDeclaration
from jobs.errors import IllegalTransition, JobNotFound, NameReused, StorageUnavailable
from jobs.labels import Labels, beside, labels_of
from jobs.model import Job, JobStatus, Priority, Webhook, job_prefix, new_job
from p2p.change.choosing import explicit
from p2p.spec import EditSpec
from p2p.words import forget_prompts
from process.addresses import UrlRefused, checked_url, refuse_private
from process.cell import PREFIX
from process.logs import bind
from process.metrics import JOBS_ACCEPTED
from process.trace import Trace
from prompts.notices import bounded, notices_of
from prompts.notices.automatic import of_surround
from prompts.prompt_syntax import ReadPrompts
from service.api_keys import Caller
from service.edits.choices import choices_of
from service.edits.keeping import lifetime_of, refuse_unkept
from service.edits.resolving import known_model, resolved
from service.edits.windows import with_windows
from service.http.complaints import Complaint
from service.http.errors import InvalidEdit, NobodyToTell, NotCancelable, NotEnded
from service.images import settling
from service.plane import Plane
from webhooks.deliveries import Attempt
from webhooks.messages import is_wanted

#: Characters of a body that a name takes beside its word, at least.
_OF_NAME = 11
#: What our own ids look like (`jobs.model.new_job`). A client's own may look alike; ours goes first if it is the
#: client's.
_OURS = re.compile(rf"{PREFIX}[0-9a-f]{{32}}")

_MODEL: set[str] = {"model"}

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An edit as it is asked for: what is to be made, and what concerns the job alone.

    Attributes:
        spec: as it was sent; a body that has more than a spec will do, for only the spec is kept.
        traceparent: the request's; one that is absent or invalid is made anew.
        read: what was read out of its prompts.
    """

    spec: EditSpec
    read: ReadPrompts = field(default_factory=ReadPrompts)
    priority: Priority = "normal"
    start_within: timedelta | None = None
    webhook: Webhook | None = None
    labels: Labels | None = None
    keep_for: timedelta | None = None
    store: bool = True
    traceparent: str = ""

    @property
    def characters(self) -> int:
        """About how large it is: what it takes to check grows with it."""
        names = sum(len(name.word) + _OF_NAME for _, name, _ in self.spec.names())
        return sum(map(len, self.spec.prompts)) + len(self.spec.sampling.negative_prompt) + names

    def fingerprint(self, catalogue: Mapping[str, ModelDeclaration]) -> str:
        """The same for the same request, whatever its trace; not to name a model is to name the models file's first."""
        # Without what is left at its default: a field that a later version adds makes no retry another request.
        # With what is chosen: to say a window that is the default of explicit edits is to ask for something else.
        # A model's own windows are filled in for the same reason.
        model = known_model(self.spec.model, catalogue)
        complete = with_windows(self.spec, explicit(self.spec), model.defaults)
        said = complete.model_dump_json(exclude_defaults=True, exclude=_MODEL)
        text = f"{model.id} {said} {self.priority} {self.start_within} {self.webhook}"
        if self.keep_for is not None or not self.store:
            text += f" {self.keep_for} {self.store}"
        if self.labels is not None:
            text += f" {self.labels.model_dump_json()}"
        return hashlib.sha256(text.encode()).hexdigest()


async def submit(asked: Asked, plane: Plane, caller: Caller, *, name: str | None = None) -> tuple[Job, Admitted]:
    """Accept an edit: check it against its model, record it, queue it; gives the job, and how it was admitted.

    Args:
        name: what the caller calls the request; the same request by the same name is the same job.
    Raises:
        InvalidEdit: the model is unknown, or it cannot do this, or the webhook's address is not public.
        NameReused: the name stands for another request.
        Refused: nothing was accepted, for now.
    """
    trace = Trace.parse(asked.traceparent) or Trace.new()
    bind(model=known_model(asked.spec.model, plane.catalogue).id, trace_id=trace.trace_id)
    prepared = plane.computing.run(caller.owner, asked.characters, _prepared, asked, plane, caller, trace, name)
    job, fingerprint = await prepared
    if job.spec.names_pictures and not await is_known(name, plane, caller):
        job = await with_pictures(job, plane, caller)
    limits = _limits_of(caller.limits, plane.backlog)
    admission = Admission(jobs=[job], limits=limits, name=name, fingerprint=fingerprint, longest=plane.longest)
    admitted = await plane.store.admit(admission)
    if admitted.replayed:
        there = await plane.store.get(admitted.job_ids[0])
        bind(job_id=there.id)
        return there, admitted
    bind(job_id=job.id)
    JOBS_ACCEPTED.labels(job.model).inc()
    return job, admitted


# Kept, for they are the same at every request of a key.
@lru_cache(maxsize=1024)
def _limits_of(limits: Limits, backlog: int | None) -> Limits:
    """What a caller may post, and what a queue holds."""
    return replace(limits, backlog=backlog)


def _prepared(asked: Asked, plane: Plane, caller: Caller, trace: Trace, name: str | None) -> tuple[Job, str]:
    """The new job of an edit, and the fingerprint of a request that has a name; raises `InvalidEdit`."""
    try:
        return job_for(asked, plane, caller, trace), asked.fingerprint(plane.catalogue) if name else ""
    finally:
        forget_prompts()


def job_for(asked: Asked, plane: Plane, caller: Caller, trace: Trace) -> Job:
    """The new job of an edit; raises `InvalidEdit`."""
    if asked.webhook is not None:
        refuse_private_webhook(asked.webhook.url, plane)
    limit = plane.queue_limit if asked.start_within is None else min(asked.start_within, plane.queue_limit)
    lifetime = lifetime_of(asked.keep_for, plane, store=asked.store)
    refuse_unkept(asked.spec, store=asked.store)
    try:
        spec = resolved(asked.spec, plane.catalogue, plane.counters, plane.draw, plane.cutting)
    except InvalidEdit as error:
        placed = [replace(each, pointer=asked.read.origin(each.pointer)) for each in error.complaints]
        raise InvalidEdit(placed) from error
    weighted, unused = asked.read.weighted, asked.read.unused
    model = known_model(spec.model, plane.catalogue)
    return new_job(
        spec,
        notices=notices_of(
            spec,
            model,
            weighted=weighted,
            unused=unused,
            instead=plane.substitutions.get(model.id),
            sent=asked.spec,
        ),
        chosen=choices_of(asked.spec, spec),
        lifetime=lifetime,
        queue_limit=limit,
        owner=caller.owner,
        priority=asked.priority,
        webhook=asked.webhook,
        traceparent=trace.header,
        labels=asked.labels,
        store=asked.store,
        cell=plane.cell,
    )


async def is_known(name: str | None, plane: Plane, caller: Caller) -> bool:
    """Whether something was posted by a name before: it is that, whatever has become of its picture's URL since."""
    return name is not None and await plane.store.named(caller.owner, name) is not None


async def with_pictures(job: Job, plane: Plane, caller: Caller) -> Job:
    """The job with its pictures at hand for as long as it is kept; raises `InvalidEdit` where one is not there.

    What is made of a subject's photo is the subject's, unless its request names another one: it shows the same.
    """
    spec, source = await settling.settled(job.spec, plane.images, caller, until=job.expires_at, subject=job.of_subject)
    if source is None:
        return job.model_copy(update={"spec": spec})
    notices = bounded([*job.notices, *of_surround(spec, (source.width, source.height))])
    whose = None if source.labels is None else labels_of(source.labels.subject, None)
    return job.model_copy(update={"spec": spec, "notices": notices, "labels": beside(job.labels, whose)})


async def fetch(job_id: str, plane: Plane, caller: Caller) -> Job:
    """The edit as it stands, by our id or by the caller's own; raises `JobNotFound`."""
    job = await _found(job_id, plane, caller, plane.store.get, lambda job: job.owner)
    bind(job_id=job.id)
    return job


async def look(job_id: str, plane: Plane, caller: Caller) -> Mapping[str, Any]:
    """`fetch` as plain data (`jobs.redis.record.plain`), for who only shows it."""
    record = await _found(job_id, plane, caller, plane.store.look, lambda record: record["owner"])
    bind(job_id=record["id"])
    return record


async def _found(
    job_id: str, plane: Plane, caller: Caller, read: Callable[[str], Awaitable[Found]], owner: Callable[[Found], str]
) -> Found:
    if _OURS.fullmatch(job_id):
        with suppress(JobNotFound):
            found = await read(job_id)
            if owner(found) == caller.owner:
                return found
    named = await plane.store.named(caller.owner, own_id(job_id))
    if named is None:
        raise JobNotFound(job_id)
    return await read(named)


async def refuse_taken(job_id: str, plane: Plane, caller: Caller) -> None:
    """Raises `NameReused` where a caller would give an id of its own to one edit that is ours of another of its edits:
    erased, that one would seem to be there still."""
    if _OURS.fullmatch(job_id):
        with suppress(JobNotFound):
            if (await plane.store.get(job_id)).owner == caller.owner:
                raise NameReused


def own_id(job_id: str) -> str:
    """The name of a request that a client gave an id to."""
    return f"id:{job_id}"


async def cancel(job_id: str, plane: Plane, caller: Caller) -> Job:
    """Cancel a queued edit at once, have a running one stopped before its next step; a canceled one stays so.

    Raises:
        JobNotFound: there is no such edit.
        NotCancelable: it has ended otherwise.
    """
    job = await canceled(job_id, plane, caller)
    if job.status.is_terminal and job.status is not JobStatus.CANCELED:
        raise NotCancelable(job.status)
    return job


async def canceled(job_id: str, plane: Plane, caller: Caller) -> Job:
    """`cancel` that leaves an edit that has ended as it is; raises `JobNotFound`."""
    while True:
        job = await fetch(job_id, plane, caller)
        move = CANCELING.get(job.status)
        if move is None:
            # Canceled by the request before this one, perhaps, which was answered by 503.
            await plane.store.confirm()
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
    """The attempts to send an edit's webhook, and when the next one is due."""
    return await plane.deliveries.attempts(job), await plane.deliveries.next_at(job)


async def deliver_again(job_id: str, plane: Plane, caller: Caller) -> Job:
    """Send an edit's webhook once more, at once, whatever the receiver answered before.

    Raises:
        JobNotFound: there is no such edit.
        NotEnded: there is no end to send.
        NobodyToTell: its webhook does not want this end, and none was sent before.
    """
    job = await fetch(job_id, plane, caller)
    if not job.status.is_terminal:
        raise NotEnded(job.status)
    # Whether the installation names an address is the sender's to know; it has called it then, and that is in the log.
    if not is_wanted(job, by_installation=False) and not await plane.deliveries.attempts(job):
        raise NobodyToTell
    await plane.deliveries.send_again(job)
    return job


def refuse_private_webhook(url: str, plane: Plane) -> None:
    """Raises `InvalidEdit` where the address of a webhook is written as a private one."""
    if plane.webhook_private:
        return
    try:
        refuse_private(checked_url(url))
    except UrlRefused as error:
        raise InvalidEdit([Complaint.at("webhook", "url", code=error.code, detail=str(error))]) from error

"""The use cases of batches: submit, fetch, wait for, cancel, tell again. Each of its edits is one as any other.

A caller sees its own batches and no others: somebody else's is answered like none at all.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from jobs.admission import Admission, Admitted
from jobs.batches import MAX_EDITS, BatchStanding, BatchWebhook, gathered
from jobs.catalogue import ModelDeclaration
from jobs.errors import BatchNotFound, JobNotFound
from jobs.follow.followed import Follower
from jobs.labels import Labels, beside
from jobs.model import Job, Notice
from p2p.words import forget_prompts
from process.logs import bind
from process.metrics import JOBS_ACCEPTED
from process.trace import Trace
from prompts.notices import bounded
from service.api_keys import Caller
from service.edits.submit import Asked, canceled, is_known, job_for, refuse_private_webhook, with_pictures
from service.http.complaints import Complaint
from service.http.errors import InvalidEdit, NobodyToTell, NotEnded
from service.plane import Plane
from webhooks.messages import is_batch_wanted


@dataclass(frozen=True, kw_only=True)
class AskedBatch:
    """A batch as it is asked for.

    Attributes:
        webhook: gets its end, and if it wants them the ends of those edits that name no webhook.
        traceparent: the request's; one that is absent or invalid is made anew.
    """

    edits: Sequence[Asked]
    webhook: BatchWebhook | None = None
    labels: Labels | None = None
    traceparent: str = ""

    def fingerprint(self, catalogue: Mapping[str, ModelDeclaration]) -> str:
        """The same for the same request, whatever its trace."""
        text = f"batch {self.webhook} {' '.join(edit.fingerprint(catalogue) for edit in self.edits)}"
        if self.labels is not None:
            text += f" {self.labels.model_dump_json()}"
        return hashlib.sha256(text.encode()).hexdigest()


async def submit(
    asked: AskedBatch, plane: Plane, caller: Caller, *, name: str | None = None
) -> tuple[BatchStanding, Admitted]:
    """Accept all edits of a batch or none; gives the batch, and how it was admitted.

    Args:
        name: what the caller calls the request; the same request by the same name is the same batch.
    Raises:
        InvalidEdit: something of it cannot be done, with pointers to it; nothing is accepted.
        NameReused: the name stands for another request.
        Refused: nothing was accepted, for now.
    """
    trace = Trace.parse(asked.traceparent) or Trace.new()
    bind(trace_id=trace.trace_id)
    characters = sum(edit.characters for edit in asked.edits)
    prepared = plane.computing.run(caller.owner, characters, _prepared, asked, plane, caller, trace, name)
    jobs, fingerprint = await prepared
    if any(job.spec.names_pictures for job in jobs) and not await is_known(name, plane, caller):
        jobs = await _with_pictures(jobs, plane, caller)
    batch, jobs = gathered(jobs, asked.webhook, _notices(jobs), asked.labels)
    limits = replace(caller.limits, backlog=plane.backlog)
    admitted = await plane.store.admit(
        Admission(jobs=jobs, limits=limits, name=name, fingerprint=fingerprint, batch=batch, longest=plane.longest)
    )
    standing = await plane.batches.get(admitted.batch_id or batch.id)
    bind(batch_id=standing.batch.id)
    if not admitted.replayed:
        for job in jobs:
            JOBS_ACCEPTED.labels(job.model).inc()
    return standing, admitted


def _prepared(
    asked: AskedBatch, plane: Plane, caller: Caller, trace: Trace, name: str | None
) -> tuple[Sequence[Job], str]:
    """The new jobs, and the fingerprint of a request that has a name; raises `InvalidEdit`."""
    try:
        return _jobs(asked, plane, caller, trace), asked.fingerprint(plane.catalogue) if name else ""
    finally:
        forget_prompts()


def _jobs(asked: AskedBatch, plane: Plane, caller: Caller, trace: Trace) -> Sequence[Job]:
    """The new jobs of a batch; raises `InvalidEdit` with everything that is wrong with any of them."""
    complaints = list(_too_many(len(asked.edits), plane, caller))
    if asked.webhook is not None:
        try:
            refuse_private_webhook(asked.webhook.url, plane)
        except InvalidEdit as error:
            complaints += error.complaints
    jobs = []
    for index, edit in enumerate(asked.edits):
        if edit.webhook is None and asked.webhook is not None:
            edit = replace(edit, webhook=asked.webhook.of_edits())
        edit = replace(edit, labels=beside(edit.labels, asked.labels))
        try:
            jobs.append(job_for(edit, plane, caller, trace))
        except InvalidEdit as error:
            complaints += [complaint.within("edits", index) for complaint in error.complaints]
    if complaints:
        raise InvalidEdit(complaints)
    return jobs


async def _with_pictures(jobs: Sequence[Job], plane: Plane, caller: Caller) -> Sequence[Job]:
    """The jobs with their pictures at hand; raises `InvalidEdit` with everything that is wrong with any of them."""
    found, complaints = [], []
    for index, job in enumerate(jobs):
        try:
            found.append(await with_pictures(job, plane, caller))
        except InvalidEdit as error:
            complaints += [complaint.within("edits", index) for complaint in error.complaints]
    if complaints:
        raise InvalidEdit(complaints)
    return found


def _notices(jobs: Sequence[Job]) -> tuple[Notice, ...]:
    """Those of all edits, with pointers into the batch."""
    found = [
        each.model_copy(update={"pointer": f"/edits/{index}{each.pointer}"})
        for index, job in enumerate(jobs)
        for each in job.notices
    ]
    return bounded(found)


def _too_many(edits: int, plane: Plane, caller: Caller) -> Sequence[Complaint]:
    """What would be refused however long one waits: a batch larger than what may ever be admitted at once."""
    limits = caller.limits
    bounds = [MAX_EDITS, plane.backlog]
    bounds += [limits.burst] if limits.per_minute else []
    bounds += [each for each in (limits.active, limits.waiting) if each is not None]
    most = min(bounds)
    if edits <= most:
        return ()
    detail = f"{edits} edits, and this key may post at most {most} at once: send the rest in another batch"
    return [Complaint.at("edits", code="too_many_edits", detail=detail)]


async def fetch(batch_id: str, plane: Plane, caller: Caller) -> BatchStanding:
    """The batch as it stands.

    Raises:
        BatchNotFound: there is no such batch.
    """
    standing = await plane.batches.get(batch_id)
    if standing.batch.owner != caller.owner:
        raise BatchNotFound(batch_id)
    bind(batch_id=batch_id)
    return standing


async def ended(standing: BatchStanding, plane: Plane, follower: Follower, seconds: float) -> BatchStanding:
    """The batch once its last edit has ended, or as it stands after so many seconds; raises `BatchNotFound`.

    Args:
        follower: of the batch's stream.
    """
    deadline, batch_id = time.monotonic() + seconds, standing.batch.id
    while standing.finished_at is None and not follower.has_left:
        await follower.wait(max(0.0, deadline - time.monotonic()))
        has_ended, is_over = follower.stream.end is not None, time.monotonic() >= deadline
        if has_ended or is_over or follower.lost_stream:
            standing = await plane.batches.get(batch_id)
        if has_ended or is_over:
            break
    return standing


async def cancel(batch_id: str, plane: Plane, caller: Caller) -> BatchStanding:
    """Cancel those of a batch's edits that have not ended: waiting ones at once, running ones before their next step.

    Raises:
        BatchNotFound: there is no such batch.
    """
    standing = await fetch(batch_id, plane, caller)
    for edit, status in standing.statuses.items():
        if not status.is_terminal:
            with suppress(JobNotFound):  # ended and erased meanwhile
                await canceled(edit, plane, caller)
    return await fetch(batch_id, plane, caller)


async def deliver_again(batch_id: str, plane: Plane, caller: Caller) -> BatchStanding:
    """Send a batch's webhook once more, at once, whatever the receiver answered before.

    Raises:
        BatchNotFound: there is no such batch.
        NotEnded: some of its edits wait or run.
        NobodyToTell: its webhook does not want this end, and none was sent before.
    """
    standing = await fetch(batch_id, plane, caller)
    batch = standing.batch
    if standing.finished_at is None:
        raise NotEnded("active")
    # As for an edit: whether the installation names an address is the sender's to know.
    if not is_batch_wanted(batch, by_installation=False) and not await plane.deliveries.attempts(batch):
        raise NobodyToTell
    await plane.deliveries.send_again(batch)
    return standing

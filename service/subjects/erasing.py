"""Erases all that was made for a subject: edits, batches, pictures, inversions, and what they left in the storage.

An edit that waits is canceled first. One that runs is asked to stop and erased once its worker has stopped it, which is
waited for a while. It is done item by item, as single ones are erased, and each item leaves the index in the turn that
erases it: so an erasure that was cut short goes on where it is asked for again.
"""

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

from anyio import to_thread
from pydantic import BaseModel, Field

from jobs.errors import BatchNotFound, ImageNotFound, JobNotFound, StillActive, StorageUnavailable
from jobs.images import image_prefix
from jobs.inversions import inversion_prefix
from jobs.redis.subjects import Kind, Member
from service.api_keys import Caller
from service.batches import submitting as batches
from service.edits import submit
from service.images import uploads
from service.plane import Plane

log = logging.getLogger(__name__)

#: Seconds that running edits are waited for, and between two looks. A worker stops before its next step.
PATIENCE, PAUSE = 10.0, 0.25


class Receipt(BaseModel):
    """What was erased of a subject. It does not name the subject: keep it together with your own record."""

    id: str = Field(description="Of this erasure, for your records and ours: the audit log has it too.")
    subject_sha256: str = Field(description="SHA-256 of the subject, in UTF-8.")
    erased_at: datetime
    edits: int
    batches: int
    images: int
    inversions: int
    remaining: int = Field(
        description="Edits that run still and were asked to stop. While there are any the status is 202: ask again."
    )


async def erase(subject: str, plane: Plane, caller: Caller) -> Receipt:
    """Erase all that was made for a caller's subject; what was never there is erased already.

    Raises:
        NotReplicated: a failover of Redis may undo it.
    """
    erased: Counter[str] = Counter()
    deadline = time.monotonic() + PATIENCE
    while remaining := await _erase_members(subject, plane, caller, erased):
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(PAUSE)
    erased["inversions"] += await _erase_inversions(subject, plane, caller)
    if not remaining:
        await plane.subjects.forget_names(caller.owner, subject)
    # Also what an earlier request erased, which was answered 503 because no replica knew of it.
    await plane.store.confirm()
    receipt = Receipt(
        id=uuid4().hex,
        subject_sha256=hashlib.sha256(subject.encode()).hexdigest(),
        erased_at=datetime.now(UTC),
        remaining=remaining,
        **{name: erased[name] for name in ("edits", "batches", "images", "inversions")},
    )
    plane.audit.note("subject_erased", key=caller.owner, receipt=receipt.model_dump(mode="json"))
    log.info("erased what was a subject's: receipt %s", receipt.id)
    return receipt


async def _erase_members(subject: str, plane: Plane, caller: Caller, erased: Counter[str]) -> int:
    """Erase what can be; gives how many edits run still."""
    remaining = 0
    for kind, name in await plane.subjects.members(caller.owner, subject):
        counted, erase_one = _ERASING[kind]
        try:
            await erase_one(name, plane, caller)
            erased[counted] += 1
        except StillActive:
            remaining += 1
        except (JobNotFound, BatchNotFound, ImageNotFound):
            await plane.subjects.forget(caller.owner, subject, [Member(kind, name)])
        else:
            # Where its own turn could not: records of a batch have no subject in that turn.
            await plane.subjects.forget(caller.owner, subject, [Member(kind, name)])
    return remaining


async def _erase_edit(edit_id: str, plane: Plane, caller: Caller) -> None:
    """Raises `StillActive` where a worker has it."""
    await submit.canceled(edit_id, plane, caller)
    await submit.erase(edit_id, plane, caller)


async def _erase_batch(batch_id: str, plane: Plane, caller: Caller) -> None:
    await plane.subjects.erase_batch((await batches.fetch(batch_id, plane, caller)).batch)


async def _erase_image(image_id: str, plane: Plane, caller: Caller) -> None:
    await uploads.erase(image_id, plane.images, caller)
    await _remove(image_prefix(image_id), plane)


_ERASING: Mapping[Kind, tuple[str, Callable[[str, Plane, Caller], Awaitable[None]]]] = {
    "edit": ("edits", _erase_edit),
    "batch": ("batches", _erase_batch),
    "image": ("images", _erase_image),
}


async def _erase_inversions(subject: str, plane: Plane, caller: Caller) -> int:
    """Those that the subject's edits made of pictures that are nobody's or somebody else's: they hold its prompts."""
    found: Sequence = [
        each
        for each in await plane.images.inversions.owned(caller.owner)
        if each.labels is not None and each.labels.subject == subject
    ]
    for inversion in found:
        await plane.images.inversions.erase(inversion)
        await _remove(inversion_prefix(inversion.id), plane)
    return len(found)


async def _remove(prefix: str, plane: Plane) -> None:
    """Now; the reaper would as well, a moment later, and does where this fails."""
    with suppress(StorageUnavailable):
        await to_thread.run_sync(plane.storage.remove_all, prefix)

"""The processes of a world: the service's own programs, with wires laid across them.

They are forked from a server that has imported everything once (`multiprocessing`'s forkserver): seventy processes, and
every one that replaces a killed one, then start in milliseconds on two cores. Each is a process of its own, killed by
its own SIGKILL.
"""

import logging
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from benchmarks.recovery.journal import Journal
from benchmarks.recovery.stand_in import Noted, StandIn
from benchmarks.recovery.stand_in_sharing import ROWS, StandInSharing
from benchmarks.recovery.wires import UPLOAD, Wires
from jobs.catalogue import ModelDeclaration, load_catalogue
from jobs.model import JobStatus
from jobs.moves import Move
from jobs.redis.message import job_of
from jobs.redis.queue import RqJobQueue
from jobs.redis.store import RedisJobStore
from jobs.storage import open_storage
from outbox import __main__ as outbox
from p2p.families.base import ModelFamily
from reaper import __main__ as reaper
from worker.__main__ import serve
from worker.engine import Engine
from worker.events import Event, Started
from worker.gpu_worker import GpuWorker
from worker.models import load_family
from worker.publishing import Publisher
from worker.sampler import ModelSampler, Sampler
from worker.settings import WorkerSettings
from worker.sharing import SharedModel, Sharing

MODEL = "scenes"
#: Makes a model one that jobs share, whose runs are noted.
Share = Callable[[Callable[[Sampler], Sampler]], Sharing]
#: The variable of a world's environment that says how many jobs share a worker's steps.
TOGETHER = "RECOVERY_TOGETHER"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a process of a world lives."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def journal(self) -> Journal:
        return Journal(self.folder / "journal")

    def wires(self) -> Wires:
        return Wires(self.folder / "armed", self.journal)


def begun(place: Place, name: str) -> Wires:
    """Makes this process one of its world's: settings, log, wires."""
    os.environ.update(place.environment)
    random.seed()
    log = os.open(place.folder / f"{name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return place.wires()


def stand_in_worker(place: Place, name: str) -> None:
    """A worker whose sampler takes half a second and no model, and does of a sampler what this benchmark asks for."""
    _work(begun(place, name), lambda _: (cast(Sampler, StandIn()), StandInSharing))


def model_worker(place: Place, name: str) -> None:
    """A worker with the built-in model."""

    def loaded(declaration: ModelDeclaration) -> tuple[Sampler, Share]:
        family = load_family(declaration)
        return ModelSampler(family), partial(_shared, family)

    _work(begun(place, name), loaded)


def _shared(family: ModelFamily, noted: Callable[[Sampler], Sampler]) -> Sharing:
    sharing = SharedModel(family)
    sharing.sampler = noted(sharing.sampler)
    return sharing


def _work(wires: Wires, loaded: Callable[[ModelDeclaration], tuple[Sampler, Share]]) -> None:
    settings = WorkerSettings()
    declaration, storage = load_catalogue(settings.models_file)[MODEL], open_storage(settings.storage_url)
    wires.across(GpuWorker, "execute_job", "after_pop", lambda worker, message, queue: job_of(message.id))
    wires.around(GpuWorker, "execute_job", lambda worker, message, queue: job_of(message.id))
    wires.across(Publisher, "handle", "before_start", _started)
    # The second of a job's artifacts: one is stored, and one is on its way.
    wires.across(type(storage), "put", "mid_upload", _second_artifact, within=UPLOAD)
    wires.across(RedisJobStore, "end", "before_commit", _finished)
    if together := int(os.environ.get(TOGETHER, 0)):
        declaration = declaration.model_copy(update={"max_rows": ROWS * together})
    sampler, share = loaded(declaration)
    noted = partial(_noted, wires)
    engine = Engine(noted(sampler), declaration, revision="recovery", share=partial(share, noted))
    serve(engine, declaration, settings, storage)


def _noted(wires: Wires, sampler: Sampler) -> Sampler:
    return cast(Sampler, Noted(sampler, wires))


def _started(publisher: Publisher, event: Event) -> str | None:
    return publisher.job.id if isinstance(event, Started) else None


def _second_artifact(storage: object, key: str, *_: object) -> str | None:
    return key.split("/")[1] if "edit-1" in key else None


def _finished(store: object, move: Move) -> str | None:
    return move.job_id if move.to is JobStatus.SUCCEEDED else None


def reaping(place: Place, name: str) -> None:
    """The reaper; a kill falls on the begin of a sweep, between its parts, or within the return of a lost job."""
    wires = begun(place, name)
    wires.across(reaper.Reaper, "_deliver_again", "inside_maintenance", lambda this, model: "")
    # The job waits again, and nothing that its lost worker left in RQ or in the storage is tidied up yet.
    wires.across(RqJobQueue, "discard", "returning_a_job", lambda queue, job: job.id)
    wires.noting(reaper.Reaper, "sweep", "sweep")
    reaper.main()


def telling(place: Place, name: str) -> None:
    """The sender of the outbox."""
    wires = begun(place, name)
    wires.across(outbox, "send", "before_webhook", lambda box, claim, *_: claim.subject)
    wires.around_awaiting(outbox, "send", lambda box, claim, *_: claim.subject)
    outbox.main()

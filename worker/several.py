"""A worker of several models, put together: checked at the start, each loaded when its first job comes."""

import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from secrets import token_hex

import redis

from jobs.catalogue import ModelDeclaration
from jobs.redis.several_queues import SeveralQueues
from jobs.storage import ObjectStorage
from p2p.errors import P2PError
from p2p.families.holding import require_means
from p2p.families.loras import require_peft
from p2p.families.occupied import occupied
from p2p.layouts.model_files import ModelFiles
from worker.checks import weights_of_checked
from worker.engine import Engine
from worker.marking import Marking
from worker.models import device_of, load_family, precision
from worker.moderation import Judge
from worker.residents import Resident, Residents
from worker.sampler import ModelSampler
from worker.serving import ContextOf, work
from worker.settings import WorkerSettings
from worker.sharing import SharedModel
from worker.taking import SeveralModels
from worker.tasks import set_context

log = logging.getLogger("worker")


def serve_several(
    declarations: Sequence[ModelDeclaration],
    settings: WorkerSettings,
    storage: ObjectStorage,
    judge: Judge,
    marking: Marking,
) -> None:
    """Work off the queues of several models until a signal comes.

    Ends the process before any job is taken where the files of one show that it cannot be loaded.
    """
    expected = _expected(declarations, settings)
    declared = {declaration.id: declaration for declaration in declarations}

    def load(model: str) -> Resident:
        family = load_family(declared[model], device=settings.device, dtype=settings.dtype)
        log.info("%s is resident: %s on %s, revision %s", model, family.dtype, family.device, family.revision)
        engine = Engine(
            ModelSampler(family),
            declared[model],
            revision=family.revision,
            judge=judge,
            marking=marking,
            make_room=partial(memory.leave_alone, model),
            share=partial(SharedModel, family),
        )
        return Resident(engine, partial(occupied, family.networks))

    memory = Residents(load, budget=settings.worker_memory, expected=expected)

    def taking(client: redis.Redis, context_of: ContextOf) -> SeveralModels:
        holder = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
        limits = {model: declaration.patience.job_seconds for model, declaration in declared.items()}

        def post(model: str | None) -> None:
            set_context(None if model is None else context_of(declared[model], memory.engine(model)))

        return SeveralModels(limits, SeveralQueues(client, list(declared), holder), memory, post)

    log.info("%s are loaded when jobs come", ", ".join(declared))
    work(taking, settings, storage)


def _expected(declarations: Sequence[ModelDeclaration], settings: WorkerSettings) -> Mapping[str, int]:
    """Bytes that each model will occupy at least, where its files show it.

    What shows only once a model is loaded is noticed then: its jobs stay in their queue (`worker.taking`).
    """
    found: dict[str, int] = {}
    wrong = []
    for declaration in declarations:
        try:
            files = ModelFiles.of(declaration)
            require_peft(files.loras)
            require_means(files, device_of(settings.device))
            weights = weights_of_checked(declaration)
        except (P2PError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            wrong.append(f"model {declaration.id} cannot be loaded from {declaration.path}: {reason}")
            continue
        if weights is None:
            continue
        found[declaration.id] = weights * precision(declaration, settings.device, settings.dtype).itemsize
        if settings.worker_memory is not None and found[declaration.id] > settings.worker_memory:
            wrong.append(
                f"model {declaration.id} has weights of {found[declaration.id]} bytes, and WORKER_MEMORY is "
                f"{int(settings.worker_memory)}: raise it, or have another worker serve this model"
            )
    if wrong:
        sys.exit("\n".join([*wrong[:-1], f"{wrong[-1]} (`python -m admin models check` goes through all models)"]))
    return found

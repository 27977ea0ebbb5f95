"""What a worker needs beside its models, whether it serves one or several."""

import logging
import sys
from collections.abc import Callable
from typing import Protocol

import redis

from jobs.catalogue import ModelDeclaration
from jobs.errors import RefusedRedis, UnsafeRedis
from jobs.redis.connection import patient_client, patient_rq_client, wait_for
from jobs.redis.head import RedisHead
from jobs.redis.notes import Notes
from jobs.redis.queue import RqJobQueue
from jobs.redis.sources import RedisKeptSources
from jobs.redis.store import RedisJobStore
from jobs.storage import ObjectStorage
from process.metrics import WORKER, begin_at_zero
from worker.deletion_cost import deletion_cost
from worker.drain import Drain
from worker.engine import Engine
from worker.gpu_worker import GpuWorker
from worker.reserving import Reserving
from worker.settings import WorkerSettings
from worker.taking import Taking
from worker.tasks import WorkerContext

log = logging.getLogger(__name__)


class ContextOf(Protocol):
    """What jobs of a model are worked off with, on its engine."""

    def __call__(self, declaration: ModelDeclaration, engine: Engine) -> WorkerContext: ...


def work(taking: Callable[[redis.Redis, ContextOf], Taking], settings: WorkerSettings, storage: ObjectStorage) -> None:
    """Work off queues until a signal comes; ends the process where Redis cannot be had.

    Args:
        taking: says whose queues, over a client that does not decode; gets what contexts are made with.
    """
    client = patient_client(settings.redis_url)
    try:
        wait_for(settings.redis_url)
    except (RefusedRedis, UnsafeRedis, redis.RedisError) as error:
        sys.exit(str(error))
    # RQ reads bytes: a client of its own.
    messages = patient_rq_client(settings.redis_url)
    drain, reserving, notes = Drain(settings.grace), dict[str, Reserving](), Notes()

    def context_of(declaration: ModelDeclaration, engine: Engine) -> WorkerContext:
        return WorkerContext(
            model=declaration.id,
            engine=engine,
            store=RedisJobStore(client, usage_days=settings.usage_days, replicas=settings.redis_replicas, notes=notes),
            queue=RqJobQueue(messages),
            storage=storage,
            sources=RedisKeptSources(client),
            patience=declaration.patience,
            drain=drain,
            lease=settings.lease,
            alive=lambda: worker.give_sign(),  # made below
            head=RedisHead(client, declaration.id),
            may_join=lambda: worker.taking.may_join(declaration.id),
            took=lambda: worker.taking.took(declaration.id),
            record_of=lambda job_id: worker.record_of(job_id),
            reserving=reserving.setdefault(declaration.id, Reserving()),
        )

    with deletion_cost(settings.pod_name) as busy:
        worker = GpuWorker(taking(messages, context_of), messages, drain, busy, notes)
        for model in worker.models:
            begin_at_zero(WORKER, model)
        # RQ speaks of messages: of a job that was given back it says at INFO that it was completed successfully.
        worker.work(logging_level="WARNING")
    log.info("this worker ends")

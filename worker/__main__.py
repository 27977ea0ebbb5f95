"""`python -m worker --model ID`: loads a model, then works off its queue until a signal comes.

Without `--model` it is the first of the models file, which requests get that name none.
"""

import argparse
import logging
import sys
from typing import TYPE_CHECKING

import redis

from jobs.catalogue import ModelDeclaration, load_catalogue
from jobs.errors import InvalidCatalogue, InvalidStorage, RefusedRedis, UnsafeRedis
from jobs.redis.connection import patient_client, refuse_wrong, wait_for
from jobs.redis.queue import RqJobQueue
from jobs.redis.sources import RedisKeptSources
from jobs.redis.store import RedisJobStore
from jobs.storage import ObjectStorage, open_storage
from p2p.errors import P2PError
from process.logs import set_up_logs
from process.metrics import WORKER, MetricsUnavailable, begin_at_zero, serve_metrics
from process.settings import settings_or_exit
from worker.drain import Drain
from worker.gpu_worker import GpuWorker
from worker.library_logs import adopt_library_logs
from worker.moderation import InvalidModeration, Judge, load_moderation
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from worker.engine import Engine

log = logging.getLogger("worker")


def main() -> None:
    """Load, then serve."""
    arguments = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    arguments.add_argument("--model", help="id of the model to serve, as in the models file; its first if absent")
    settings = settings_or_exit(WorkerSettings)
    set_up_logs(settings.log_format)
    declaration = _declared(arguments.parse_args().model, settings)
    try:
        storage = open_storage(settings.storage_url)
        judge = Judge(load_moderation(settings.moderation))
        serve_metrics(WORKER, settings.metrics_host, settings.metrics_port)
        # Before the model, which takes long to load.
        refuse_wrong(settings.redis_url)
    except (InvalidStorage, InvalidModeration, MetricsUnavailable, RefusedRedis) as error:
        sys.exit(str(error))
    # Not at the head of the file: diffusers and transformers log while their parts are imported.
    adopt_library_logs()
    from worker.engine import Engine
    from worker.models import load_family
    from worker.sampler import ModelSampler

    try:
        family = load_family(declaration, device=settings.device, dtype=settings.dtype)
    except Exception as error:
        if not isinstance(error, P2PError | OSError | ValueError):  # diffusers raises all of the latter two
            log.exception("model %s failed in a way that nobody foresaw", declaration.id)
        # One line, whatever a library's message looks like: it is the last one of the log, where operators look.
        reason = " ".join(str(error).split()) or type(error).__name__
        sys.exit(
            f"model {declaration.id} cannot be loaded from {declaration.path}: {reason} "
            "(`python -m admin models check` goes through all models)"
        )
    log.info("%s is resident: %s on %s, revision %s", declaration.id, family.dtype, family.device, family.revision)
    serve(
        Engine(ModelSampler(family), declaration, revision=family.revision, judge=judge), declaration, settings, storage
    )


def serve(engine: "Engine", declaration: ModelDeclaration, settings: WorkerSettings, storage: ObjectStorage) -> None:
    """Work off the model's queue until a signal comes; ends the process where Redis cannot be had."""
    from worker.tasks import WorkerContext, set_context

    client = patient_client(settings.redis_url)
    try:
        wait_for(settings.redis_url)
    except (RefusedRedis, UnsafeRedis, redis.RedisError) as error:
        sys.exit(str(error))
    # RQ reads bytes: a client of its own.
    messages = redis.Redis.from_url(settings.redis_url)
    begin_at_zero(WORKER, declaration.id)
    drain = Drain(settings.grace)
    worker = GpuWorker(declaration.id, messages, drain)
    set_context(
        WorkerContext(
            model=declaration.id,
            engine=engine,
            store=RedisJobStore(client),
            queue=RqJobQueue(messages),
            storage=storage,
            sources=RedisKeptSources(client),
            patience=declaration.patience,
            drain=drain,
            lease=settings.lease,
            alive=worker.heartbeat,
        )
    )
    worker.work(logging_level="INFO")


def _declared(model: str | None, settings: WorkerSettings) -> ModelDeclaration:
    try:
        catalogue = load_catalogue(settings.models_file)
    except InvalidCatalogue as error:
        sys.exit(str(error))
    if model is None:
        return next(iter(catalogue.values()))
    if model not in catalogue:
        sys.exit(f"{settings.models_file} declares no model {model!r}: choose one of {', '.join(catalogue)}")
    return catalogue[model]


if __name__ == "__main__":
    main()

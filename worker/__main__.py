"""`python -m worker --model ID`: loads a model, then works off its queue until a signal comes.

Without `--model` it is the first of the models file, which requests get that name none. With several, each is loaded
when its first job comes, and those leave that are used least recently where WORKER_MEMORY says so.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import redis

from jobs.catalogue import ModelDeclaration, load_catalogue
from jobs.errors import InvalidCatalogue, InvalidStorage, RefusedRedis
from jobs.redis.connection import refuse_wrong
from jobs.storage import ObjectStorage, open_storage
from p2p.errors import P2PError
from process.audit import Audit, AuditUnavailable
from process.logs import set_up_logs
from process.metrics import WORKER, MetricsUnavailable, model_loaded, serve_metrics
from process.settings import settings_or_exit
from worker.credentials import InvalidCredentials, load_credentials
from worker.library_logs import adopt_library_logs
from worker.marking import Marking
from worker.moderation import InvalidModeration, Judge, load_moderation
from worker.settings import WorkerSettings
from worker.taking import OneModel
from worker.watermark import InvalidWatermark, Watermarks, load_watermark

if TYPE_CHECKING:
    from worker.engine import Engine

log = logging.getLogger("worker")

#: Settings that name what an installation brings along, and that is not there.
REFUSED = (AuditUnavailable, InvalidModeration, InvalidWatermark, InvalidCredentials)


def main() -> None:
    """Load, then serve."""
    arguments = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    arguments.add_argument(
        "--model",
        action="append",
        help="id of a model to serve, as in the models file; its first if absent. May be given several times",
    )
    settings = settings_or_exit(WorkerSettings)
    set_up_logs(settings.log_format)
    declaration, *further = _declared(arguments.parse_args().model, settings)
    try:
        storage = open_storage(settings.storage_url)
        judge = Judge(load_moderation(settings.moderation), Audit(settings.audit_log))
        watermarks = Watermarks(load_watermark(settings.watermark))
        marking = Marking(watermarks, load_credentials(settings.content_credentials, settings.timestamp_url))
        serve_metrics(WORKER, settings.metrics_host, settings.metrics_port)
        # Before the model, which takes long to load.
        refuse_wrong(settings.redis_url)
    except (*REFUSED, InvalidStorage, MetricsUnavailable, RefusedRedis) as error:
        sys.exit(str(error))
    # Not at the head of the file: diffusers and transformers log while their parts are imported.
    adopt_library_logs()
    if further:
        from worker.several import serve_several

        return serve_several([declaration, *further], settings, storage, judge, marking)
    from p2p.families.occupied import occupied
    from worker.engine import Engine
    from worker.models import load_family
    from worker.sampler import ModelSampler
    from worker.sharing import SharedModel

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
    model_loaded(declaration.id, occupied(family.networks))
    share = partial(SharedModel, family)
    engine = Engine(
        ModelSampler(family), declaration, revision=family.revision, judge=judge, marking=marking, share=share
    )
    serve(engine, declaration, settings, storage)


def serve(engine: "Engine", declaration: ModelDeclaration, settings: WorkerSettings, storage: ObjectStorage) -> None:
    """Work off the model's queue until a signal comes; ends the process where Redis cannot be had."""
    from worker.serving import ContextOf, work
    from worker.tasks import set_context

    def taking(_: redis.Redis, context_of: ContextOf) -> OneModel:
        set_context(context_of(declaration, engine))
        return OneModel(declaration.id)

    work(taking, settings, storage)


def _declared(models: Sequence[str] | None, settings: WorkerSettings) -> Sequence[ModelDeclaration]:
    try:
        catalogue = load_catalogue(settings.models_file)
    except InvalidCatalogue as error:
        sys.exit(str(error))
    if models is None:
        return [next(iter(catalogue.values()))]
    for model in models:
        if model not in catalogue:
            sys.exit(f"{settings.models_file} declares no model {model!r}: choose one of {', '.join(catalogue)}")
        if models.count(model) > 1:
            sys.exit(f"--model {model} is given {models.count(model)} times: name each model once")
    return [catalogue[model] for model in models]


if __name__ == "__main__":
    main()

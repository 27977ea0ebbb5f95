"""`python -m worker --model ID`: loads a model, then works off its queue until told to stop."""

import argparse
import logging
import sys

import redis

from p2p.errors import P2PError
from service.jobs.catalogue import ModelDeclaration, load_catalogue
from service.jobs.errors import InvalidCatalogue
from service.jobs.sources import RedisKeptSources
from service.jobs.storage import open_storage
from service.jobs.store import RedisJobStore
from worker.engine import Engine
from worker.gpu_worker import GpuWorker
from worker.models import load_family
from worker.sampler import ModelSampler
from worker.settings import WorkerSettings
from worker.tasks import Post, take_post

log = logging.getLogger("worker")


def main() -> None:
    """Load, take the post, work."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    arguments = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    arguments.add_argument("--model", required=True, help="id of the model to serve, as in the models file")
    settings = WorkerSettings()
    declaration = _declared(arguments.parse_args().model, settings)
    try:
        family = load_family(declaration, device=settings.device, dtype=settings.dtype)
    except (P2PError, OSError, ValueError) as error:  # diffusers raises all of the latter two
        sys.exit(f"model {declaration.id} cannot be loaded from {declaration.path}: {error}")
    log.info("%s is resident: %s on %s, revision %s", declaration.id, family.dtype, family.device, family.revision)
    engine = Engine(ModelSampler(family), declaration, revision=family.revision)
    client = redis.Redis.from_url(settings.redis_url, decode_responses=True)
    take_post(
        Post(
            engine=engine,
            store=RedisJobStore(client),
            storage=open_storage(settings.storage_url),
            sources=RedisKeptSources(client),
        )
    )
    # RQ reads bytes: a client of its own.
    GpuWorker(declaration.id, redis.Redis.from_url(settings.redis_url)).work(logging_level="INFO")


def _declared(model: str, settings: WorkerSettings) -> ModelDeclaration:
    try:
        catalogue = load_catalogue(settings.models_file)
    except InvalidCatalogue as error:
        sys.exit(str(error))
    if model not in catalogue:
        sys.exit(f"{settings.models_file} declares no model {model!r}: choose one of {', '.join(catalogue)}")
    return catalogue[model]


if __name__ == "__main__":
    main()

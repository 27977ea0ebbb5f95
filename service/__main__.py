"""`python -m service`: serves the API."""

import gc
import logging
import sys
from typing import Any

import redis
import uvicorn

from service.api_keys import KeyRing
from service.app import create_app
from service.jobs.catalogue import load_catalogue
from service.jobs.connection import patient_client, wait_for
from service.jobs.errors import InvalidCatalogue, InvalidStorage, UnsafeRedis
from service.jobs.logs import set_up_logs
from service.jobs.metrics import API, show_process
from service.jobs.settings import settings_or_exit
from service.jobs.storage import open_storage
from service.settings import Settings
from service.tokens import token_counters

log = logging.getLogger("service")

#: uvicorn's own line a request would hold the query, and with it the signatures of artifacts: see service.access.
UVICORN: dict[str, Any] = {"log_config": None, "access_log": False}


def main() -> None:
    """Read the settings once and serve until told to stop."""
    settings = settings_or_exit(Settings)
    set_up_logs(settings.log_format)
    try:
        token_counters(load_catalogue(settings.models_file))
        open_storage(settings.storage_url)
    except (InvalidCatalogue, InvalidStorage) as error:
        sys.exit(str(error))
    show_process(API)
    spare_connections()
    # Where it listens decides who is let in without a key: everything is told the same.
    settings = settings.model_copy(update={"host": host_for(settings)})
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, **UVICORN)


def spare_connections() -> None:
    """Have Python look for garbage among what is new, and hardly ever among the objects of open connections.

    What a request leaves is freed by its reference counts. A full collection goes through every object and holds the
    event loop meanwhile: 0.8 s with 5,000 followers (`benchmarks.followers`), several times while they connect. The
    youngest generation is what events to followers are made of: at 700, Python's own number, it was gone through once a
    second, for 5 to 8 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 1, 500)


def host_for(settings: Settings) -> str:
    """Where to listen: on loopback alone while there is no key, whatever is set. Ends the process without Redis."""
    if settings.is_on_loopback:
        return settings.host
    client = patient_client(settings.redis_url)
    try:
        wait_for(client)
        if KeyRing(client).any():
            return settings.host
    except (UnsafeRedis, redis.RedisError) as error:
        sys.exit(f"whether there is a key cannot be told: {error}")
    log.warning(
        "no API key was made, so this listens on 127.0.0.1 and not on %s: `python -m service.admin keys create NAME`",
        settings.host,
    )
    return "127.0.0.1"


if __name__ == "__main__":
    main()

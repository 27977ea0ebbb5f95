"""`python -m service`: serves the API."""

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
    # Where it listens decides who is let in without a key: everything is told the same.
    settings = settings.model_copy(update={"host": host_for(settings)})
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, **UVICORN)


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

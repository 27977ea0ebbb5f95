"""`python -m service`: serves the API."""

import gc
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
import uvicorn
from fastapi import FastAPI
from uvicorn.main import STARTUP_FAILURE

from jobs.errors import InvalidCatalogue, InvalidStorage, RefusedRedis, UnsafeRedis
from jobs.redis.connection import patient_client, refuse_wrong, wait_for
from jobs.storage import open_storage
from process.audit import Audit, AuditUnavailable
from process.logs import set_up_logs
from process.metrics import API, show_process
from process.settings import settings_or_exit
from service.api_keys import KeyRing
from service.app import create_app
from service.models.offered import load_offered
from service.server.listening import allowed_connections, options
from service.settings import Settings

log = logging.getLogger("service")

#: Seconds after which a thread that computes lets the event loop go on (`layers.computing`): Python's own number
#: is 5 ms, which the loop would wait after each of its calls to the system.
SWITCH = 0.001
#: Seconds between two looks for a Redis that has not answered yet.
FIRST_CONTACT = 1.0


def main() -> None:
    """Read the settings once and serve until a signal comes."""
    settings = settings_or_exit(Settings)
    if hasattr(signal, "SIGHUP"):  # one that comes before the models file is followed ends nothing
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    set_up_logs(settings.log_format)
    try:
        load_offered(settings.models_file)
        open_storage(settings.storage_url)
        Audit(settings.audit_log)
    except (AuditUnavailable, InvalidCatalogue, InvalidStorage) as error:
        sys.exit(str(error))
    show_process(API)
    spare_connections()
    # Where it listens decides who is let in without a key: every part gets the same.
    settings = settings.model_copy(update={"host": host_for(settings)})
    sys.setswitchinterval(SWITCH)
    how = options(settings, connections=allowed_connections(settings.connections))
    server = uvicorn.Server(uvicorn.Config(described(settings), host=settings.host, port=settings.port, **how))
    with suppress(KeyboardInterrupt), ended_by_refusal(server, settings.redis_url):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def described(settings: Settings) -> FastAPI:
    """The API with its description, which FastAPI else makes when it is first asked for: half a second on the loop."""
    app = create_app(settings)
    app.openapi()
    return app


@contextmanager
def ended_by_refusal(server: uvicorn.Server, redis_url: str) -> Iterator[None]:
    """Ends the server, and then the process, where the first answer of Redis shows that the URL can never work.

    A Redis that is not reachable yet keeps nobody waiting here: it is looked for beside the server.
    """
    over = threading.Event()
    refused: list[RefusedRedis] = []

    def look() -> None:
        try:
            while not over.is_set() and not refuse_wrong(redis_url):
                over.wait(FIRST_CONTACT)
        except RefusedRedis as error:
            refused.append(error)
            server.should_exit = True

    try:
        if not refuse_wrong(redis_url):
            threading.Thread(target=look, daemon=True).start()
    except RefusedRedis as error:
        sys.exit(str(error))
    try:
        yield
    finally:
        over.set()
    if refused:
        sys.exit(str(refused[0]))


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
    """Where to listen: on loopback alone while nobody has a key or a token, whatever is set.

    Ends the process without Redis."""
    if settings.is_on_loopback or settings.jwt_issuer:
        return settings.host
    try:
        wait_for(settings.redis_url)
        with patient_client(settings.redis_url) as client:
            if KeyRing(client).any():
                return settings.host
    except RefusedRedis as error:
        sys.exit(str(error))
    except (UnsafeRedis, redis.RedisError) as error:
        sys.exit(f"whether there is a key cannot be known: {error}")
    log.warning(
        "no API key was made, so this listens on 127.0.0.1 and not on %s: `python -m admin keys create NAME`",
        settings.host,
    )
    return "127.0.0.1"


if __name__ == "__main__":
    main()

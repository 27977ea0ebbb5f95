"""An application behind a real server on a real port, within this process."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn

from service.server.listening import options
from service.settings import Settings


@contextlib.contextmanager
def serving(app, settings: Settings | None = None) -> Iterator[int]:
    """Serves an app on a free port of loopback for as long as the block runs; gives the port."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, **options(settings or Settings())))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()

"""A receiver of webhooks: a real HTTP server in a thread, which answers as it is told to and remembers what it got."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stack.patience import PATIENCE


@dataclass(frozen=True)
class Received:
    """One request."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """A receiver.

    Attributes:
        url: where it takes POSTs.
        status: what it answers, and `headers` with it.
        hangs: whether it answers nothing until it is closed.
        endless: what its answer goes on with until it is closed.
        got: every request, as it came in.
        on_arrival: is given each request before it is answered; a request that it raises about gets no answer.
    """

    url: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    endless: bytes | None = None
    got: list[Received] = field(default_factory=list)
    on_arrival: Callable[[Received], object] = lambda _: None
    arrived: threading.Condition = field(default_factory=threading.Condition)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        return [request.id for request in self.got]

    def wait_for(self, number: int, *, patience: float = PATIENCE) -> None:
        """Wait until so many requests have come in."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.got) >= number, patience), f"{len(self.got)} of {number} came"


@contextmanager
def receiving(tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1", **how: Any) -> Iterator[Receiver]:
    """A receiver on a free port of this machine, for as long as the block runs.

    Args:
        host: the address it listens on: "" for all, where containers are to reach it.
    """
    receiver = Receiver(**how)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Received({name.lower(): text for name, text in self.headers.items()}, body)
            with receiver.arrived:
                receiver.got.append(request)
                receiver.arrived.notify_all()
            receiver.on_arrival(request)
            if receiver.hangs:
                receiver.closing.wait()
                return
            self.send_response(receiver.status)
            for name, text in receiver.headers.items():
                self.send_header(name, text)
            self.end_headers()
            while receiver.endless is not None and not receiver.closing.wait(0.001):
                self.wfile.write(receiver.endless)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is part of the tests."""

    server = Server((host, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()

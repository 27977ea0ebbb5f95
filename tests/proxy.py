"""A reverse proxy as it often stands before the API: it takes a prefix off each path and hands the rest on."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def stripping(prefix: str, port: int) -> Iterator[str]:
    """Serves what is at a port of loopback below a prefix, for as long as the block runs; gives the base URL.

    What is asked for outside of the prefix is answered by 404, so that a link without it is seen.
    """

    class HandOn(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                method, target, rest = self.rfile.readline().split(b" ", 2)
                if not (target + b"/").startswith(prefix.encode() + b"/"):
                    self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                with socket.create_connection(("127.0.0.1", port)) as ours:
                    # One request for each connection: the next one has a path of its own to be changed.
                    path = target[len(prefix) :] or b"/"
                    ours.sendall(method + b" " + path + b" " + rest + b"Connection: close\r\n")
                    threading.Thread(target=self._send_on, args=[ours], daemon=True).start()
                    while data := ours.recv(65536):
                        self.wfile.write(data)

        def _send_on(self, ours: socket.socket) -> None:
            with contextlib.suppress(OSError, ValueError):
                while data := self.rfile.read1(65536):
                    ours.sendall(data)
                ours.shutdown(socket.SHUT_RDWR)  # the client has gone: what it listened to ends

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Server(("127.0.0.1", 0), HandOn) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
        finally:
            server.shutdown()
            thread.join()

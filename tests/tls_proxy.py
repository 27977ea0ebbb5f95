"""TLS in front of a server whose build has none, with an authority of its own. What speaks plainly is passed on too."""

import contextlib
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

#: The first byte of a TLS connection (RFC 8446, 5.1: a record of the handshake).
HANDSHAKE = b"\x16"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 and localhost, which is its own authority, and its key."""
    made, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {key} -out {made}".split(),
        check=True,
        capture_output=True,
    )
    return made, key


@contextlib.contextmanager
def speaking_tls(inner: int, made: Path, key: Path) -> Iterator[int]:
    """A port of loopback that passes on to the port `inner`, while the block runs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)

    class PassOn(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", inner)) as server:
                client = self.request
                if client.recv(1, socket.MSG_PEEK) == HANDSHAKE:
                    client = context.wrap_socket(client, server_side=True)
                with client:
                    back = threading.Thread(target=copied, args=(server, client), daemon=True)
                    back.start()
                    copied(client, server)
                    back.join()

    def copied(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Server(("127.0.0.1", 0), PassOn) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()

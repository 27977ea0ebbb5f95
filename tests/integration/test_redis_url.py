"""The ways in which REDIS_URL may name a server, at real servers."""

import asyncio
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from service.connections import redis_client
from service.jobs.connection import patient_client
from service.jobs.redis_url import checked_redis_url
from stack.processes import running
from stack.redis_server import free_port, server_command


@pytest.fixture
def socket_url(tmp_path) -> Iterator[str]:
    path = tmp_path / "redis.sock"
    command = [*server_command(0, tmp_path, keep=False), "--unixsocket", str(path)]
    with running("redis", command, tmp_path / "redis.log"):
        deadline = time.monotonic() + 60
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"unix://{path}?db=3"


@pytest.fixture
def tls_url(tmp_path, redis_url) -> Iterator[str]:
    """TLS in front of the tests' Redis, whose build has none."""
    certificate, key, port = tmp_path / "cert.pem", tmp_path / "key.pem", free_port()
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost "
        f"-keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    inner_port, is_up, is_over = urlsplit(redis_url).port, threading.Event(), threading.Event()

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", inner_port)
        copies = [asyncio.create_task(copied(*pair)) for pair in ((reader, inner_writer), (inner_reader, writer))]
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        for sink in (inner_writer, writer):
            sink.close()

    async def copied(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)

    async def serve() -> None:
        async with await asyncio.start_server(passed_on, "127.0.0.1", port, ssl=context):
            is_up.set()
            await asyncio.to_thread(is_over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert is_up.wait(30)
    yield f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}"
    is_over.set()
    thread.join()


async def pinged(url: str) -> bool:
    """By the API's own client."""
    client = redis_client(url, decode_responses=True)
    try:
        return await client.ping() and await client.set("a key", "x" * 100_000)
    finally:
        await client.aclose()


@pytest.mark.parametrize("kind", ["socket_url", "tls_url"])
def test_every_client_speaks_over_sockets_and_tls(request, kind):
    url = checked_redis_url(request.getfixturevalue(kind))

    assert asyncio.run(pinged(url))
    for client in (patient_client(url), redis.Redis.from_url(url)):
        assert client.ping()
        client.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_url):
    with pytest.raises(redis.ConnectionError):
        asyncio.run(pinged(tls_url.partition("?")[0]))

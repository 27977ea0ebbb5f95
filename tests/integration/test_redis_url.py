"""The ways in which REDIS_URL may name a server, at real servers."""

import asyncio
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from jobs.errors import RefusedRedis
from jobs.redis.connection import patient_client, reached, refuse_wrong
from process.redis_url import checked_redis_url
from service.connections import redis_client
from stack.patience import PATIENCE
from stack.ports import free_port
from stack.processes import python, running
from stack.redis_server import guarded_command, private_socket, server_command


@pytest.fixture
def socket_url(tmp_path) -> Iterator[str]:
    with private_socket() as path, running("redis", server_command(path, tmp_path, keep=False), tmp_path / "redis.log"):
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
    inner, is_up, is_over = urlsplit(redis_url).path, threading.Event(), threading.Event()

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(inner)
        copies = [asyncio.create_task(copied(*pair)) for pair in ((reader, inner_writer), (inner_reader, writer))]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # At once, also when the server ends first: what is left open is a warning in whatever test runs then.
            for copy in copies:
                copy.cancel()
            for sink in (inner_writer, writer):
                sink.transport.abort()

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


PROGRAMS = ["service", "reaper", "outbox", "admin keys list", "worker --model tiny"]
PASSWORD = "hush-hush"


@pytest.fixture(scope="module")
def guarded_address(tmp_path_factory) -> Iterator[str]:
    """HOST:PORT of a Redis with a password, and a user who may only PING."""
    folder, port = tmp_path_factory.mktemp("guarded"), free_port()
    command = guarded_command(port, PASSWORD, folder, keep=False)
    with running("redis", command, folder / "redis.log"):
        reached(f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
        with redis.Redis(port=port, password=PASSWORD) as client:
            client.acl_setuser("weak", enabled=True, passwords=[f"+{PASSWORD}"], commands=["+ping"], keys=["*"])
        yield f"127.0.0.1:{port}"


def ended(program: str, url: str, models: Path, **more: str) -> subprocess.CompletedProcess:
    """A program that is to end by itself."""
    environment = {**os.environ, "MODELS_FILE": str(models), "REDIS_URL": url, "PORT": str(free_port()), **more}
    return subprocess.run(
        python("-m", *program.split()), capture_output=True, text=True, env=environment, timeout=PATIENCE
    )


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (f"redis://u:{PASSWORD}-no@", "/0", "invalid username-password pair"),
        (f"redis://:{PASSWORD}@", "/99999", "DB index is out of range; give a database"),
        (f"rediss://:{PASSWORD}@", "/0", "it speaks Redis without TLS; give redis://"),
    ],
)
def test_a_url_that_can_never_work_ends_each_program_with_one_line(
    guarded_address, tiny_models, tmp_path, program, start, end, says
):
    done = ended(program, f"{start}{guarded_address}{end}", tiny_models, STORAGE_URL=str(tmp_path))

    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1, done.stderr
    assert last.startswith(f"REDIS_URL '{start.partition('://')[0]}://***@{guarded_address}{end}': ")
    assert says in last
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        ("redis://", "/0", "give the user and password"),
        ("redis://:hush-no@", "/0", "give the user and password"),
        ("redis://:hush-no@", "/0?protocol=2", "give the user and password"),
        (f"redis://weak:{PASSWORD}@", "/0", "give that user all keys"),
        (f"redis://:{PASSWORD}@", "/16", "give a database that it has"),
        (f"redis://:{PASSWORD}@", "/0?client_name=a%20b", "correct REDIS_URL"),
    ],
)
def test_what_redis_answers_is_said_with_what_to_do(guarded_address, start, end, says):
    with pytest.raises(RefusedRedis, match=says) as refused:
        reached(f"{start}{guarded_address}{end}")

    assert "hush" not in str(refused.value)


def test_what_is_wrong_about_tls_is_said(tls_url):
    address = tls_url.partition("?")[0]
    for url, says in (
        (address, "certificate verify failed"),
        (tls_url.replace("localhost", "127.0.0.1"), "certificate is not valid for '127.0.0.1'"),
        (f"{address}?ssl_ca_certs={__file__}", "correct the ssl_ options"),
        (address.replace("rediss", "redis"), "it speaks TLS; give rediss://"),
    ):
        with pytest.raises(RefusedRedis, match=says):
            reached(url)
    assert reached(tls_url)


def test_a_server_of_another_kind_and_a_name_that_no_host_has_are_refused():
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for scheme in ("redis", "rediss"):
            with pytest.raises(RefusedRedis):
                reached(f"{scheme}://127.0.0.1:{server.server_port}/0")
        server.shutdown()
    with pytest.raises(RefusedRedis, match="no host can have this name"):
        reached("redis://a..b/0")


def test_a_redis_that_is_not_there_is_no_mistake_and_is_named_in_the_end(caplog):
    url = f"redis://:hush@127.0.0.1:{free_port()}/0"

    assert not refuse_wrong(url)
    with pytest.raises(redis.ConnectionError, match=r"REDIS_URL 'redis://\*\*\*@.*no answer within 0\.1 s.*start that"):
        reached(url, patience=0.1)
    # That it waits is said only if the first answer comes before its time is up: a program shows it below.
    assert "hush" not in caplog.text


@pytest.mark.parametrize("password", [PASSWORD, "another"])
def test_a_program_that_starts_before_its_redis_waits_and_then_tells_right_from_wrong(tmp_path, tiny_models, password):
    port, log = free_port(), tmp_path / "admin.log"
    url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    environment = {"REDIS_URL": url, "MODELS_FILE": str(tiny_models)}
    with running("admin", python("-m", "admin", "keys", "list"), log, environment) as admin:
        until(lambda: "waiting up to" in log.read_text())
        command = guarded_command(port, password, tmp_path, keep=False)
        with running("redis", command, tmp_path / "redis.log"):
            assert admin.wait(PATIENCE) == (0 if password == PASSWORD else 1)
    assert ("give the user and password" in log.read_text()) == (password != PASSWORD)


def test_an_api_on_loopback_that_starts_before_its_redis_ends_when_that_refuses_it(tmp_path, tiny_models):
    port, log = free_port(), tmp_path / "api.log"
    environment = {
        "REDIS_URL": f"redis://:wrong@127.0.0.1:{port}/0",
        "MODELS_FILE": str(tiny_models),
        "STORAGE_URL": str(tmp_path),
        "PORT": str(free_port()),
    }
    with running("api", python("-m", "service"), log, environment) as api:
        until(lambda: "Uvicorn running" in log.read_text())
        command = guarded_command(port, PASSWORD, tmp_path, keep=False)
        with running("redis", command, tmp_path / "redis.log"):
            assert api.wait(PATIENCE) == 1
    assert "REDIS_URL 'redis://***@" in log.read_text().strip().splitlines()[-1]


def test_an_api_that_others_reach_says_the_same(guarded_address, tiny_models, tmp_path):
    url = f"redis://:hush-no@{guarded_address}/0"
    done = ended("service", url, tiny_models, STORAGE_URL=str(tmp_path), HOST="0.0.0.0")

    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(f"REDIS_URL 'redis://***@{guarded_address}/0': it answers")


def test_credentials_that_change_while_a_process_runs_are_an_outage(tmp_path):
    port = free_port()
    url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    command = guarded_command(port, PASSWORD, tmp_path, keep=False)
    with running("redis", command, tmp_path / "redis.log"):
        reached(url)
        with patient_client(url) as client, redis.Redis(port=port, password=PASSWORD) as operator:
            client.ping()
            operator.config_set("requirepass", "another")
            operator.client_kill_filter(skipme=True, _type="normal")
            back = threading.Timer(0.5, operator.config_set, ("requirepass", PASSWORD))
            back.start()
            assert client.ping()
            back.join()


def until(is_so: Callable[[], bool]) -> None:
    """Returns once it is so."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)

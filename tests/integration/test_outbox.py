"""An end is told until somebody has taken it, always under one id."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import httpx
import pytest

from service import outbox as module
from service.jobs import keys, moves
from service.jobs.metrics import OUTBOX, REGISTRIES
from service.jobs.model import Job, new_job
from service.jobs.store import RedisJobStore
from service.outbox import Outbox, send
from tests.edits import CAT_TO_DOG


@pytest.fixture
def receiver() -> Iterator[SimpleNamespace]:
    """An HTTP server that notes what it is sent, and answers what it is told to."""
    seen = SimpleNamespace(messages=[], status=204, url="")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.messages.append((self.headers["webhook-id"], body))
            self.send_response(seen.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ended(redis_client, monkeypatch) -> Job:
    """A job that has ended, alone in an empty Redis."""
    redis_client.flushdb()
    monkeypatch.setattr(module, "RETRY_AFTER", 0)
    monkeypatch.setattr(module, "TURN", 10)
    store, job = RedisJobStore(redis_client), new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    store.create(job)
    return store.make(moves.cancel(job))


def rounds(redis_client, url: str, number: int = 3) -> None:
    """Some rounds of a sender; the first only makes the group."""
    outbox = Outbox(redis_client)
    with httpx.Client(timeout=2) as client:
        for _ in range(number):
            for entry in outbox.take():
                send(outbox, entry, client, url)


def test_an_end_is_told_once_where_it_is_taken(redis_client, ended, receiver):
    rounds(redis_client, receiver.url, 5)

    ((webhook_id, body),) = receiver.messages
    assert webhook_id == f"{ended.id}-canceled"
    assert f'"id": "{ended.id}"'.encode() in body
    assert redis_client.xlen(keys.OUTBOX) == 0


@pytest.mark.parametrize("status", [500, 404, 302])
def test_an_end_that_was_not_taken_is_told_again_under_the_same_id(redis_client, ended, receiver, status):
    receiver.status = status
    rounds(redis_client, receiver.url)
    receiver.status = 200
    rounds(redis_client, receiver.url)

    ids = [webhook_id for webhook_id, _ in receiver.messages]
    assert len(ids) > 1
    assert set(ids) == {f"{ended.id}-canceled"}
    assert redis_client.xlen(keys.OUTBOX) == 0


def test_what_a_killed_sender_had_taken_another_sends(redis_client, ended, receiver):
    killed = Outbox(redis_client)
    killed.take()
    assert killed.take()

    rounds(redis_client, receiver.url)

    assert len(receiver.messages) == 1


def test_nobody_listening_is_no_end_of_the_sender(redis_client, ended, receiver):
    rounds(redis_client, "http://127.0.0.1:9/")

    assert redis_client.xlen(keys.OUTBOX) == 1


def test_attempts_are_counted_by_what_came_of_them(redis_client, ended, receiver):
    def counted(name: str, **labels: str) -> float:
        return REGISTRIES[OUTBOX].get_sample_value(name, labels) or 0.0

    before = {result: counted("p2p_webhook_attempts_total", result=result) for result in ("refused", "delivered")}
    lags = counted("p2p_webhook_delivery_seconds_count")
    receiver.status = 500
    rounds(redis_client, receiver.url, 2)
    refused = len(receiver.messages)
    receiver.status = 200
    rounds(redis_client, receiver.url)

    assert counted("p2p_webhook_attempts_total", result="refused") - before["refused"] == refused > 0
    assert counted("p2p_webhook_attempts_total", result="delivered") - before["delivered"] == 1
    assert counted("p2p_webhook_delivery_seconds_count") - lags == 1

"""A worker says that it is busy while it works a message off, and at no other time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import redis

from jobs.redis.message import message_about
from jobs.storage import open_storage
from worker import serving
from worker.drain import Drain
from worker.gpu_worker import GpuWorker
from worker.settings import WorkerSettings
from worker.taking import OneModel

MODEL = "busy"


@pytest.fixture
def client(redis_url) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client


@pytest.fixture
def happened(monkeypatch) -> list[str]:
    """What a worker does, in its order."""
    happened: list[str] = []
    monkeypatch.setattr("worker.tasks.run_edit", lambda job_id: happened.append(f"runs {job_id}"))
    return happened


def busy_of(happened: list[str]):
    @contextmanager
    def busy() -> Iterator[None]:
        happened.append("busy")
        yield
        happened.append("idle")

    return busy


def send(client: redis.Redis, job_id: str, **altered: str) -> None:
    message = message_about(job_id, MODEL)
    client.hset(message.hash, mapping=dict(zip(message.fields[::2], message.fields[1::2], strict=True)) | altered)
    client.rpush(message.list, message.id)


def test_it_is_busy_while_a_message_is_worked_off(client, happened):
    for job_id in ("one", "two"):
        send(client, job_id)
    GpuWorker(OneModel(MODEL), client, Drain(timedelta(seconds=1)), busy_of(happened)).work(burst=True)

    assert happened == ["busy", "runs one", "idle", "busy", "runs two", "idle"]


def test_it_is_idle_again_after_a_message_that_cannot_be_worked_off(client, happened, monkeypatch):
    def fails(job_id: str) -> None:
        raise RuntimeError(job_id)

    monkeypatch.setattr("worker.tasks.run_edit", fails)
    send(client, "one")
    GpuWorker(OneModel(MODEL), client, Drain(timedelta(seconds=1)), busy_of(happened)).work(burst=True)

    assert happened == ["busy", "idle"]


def test_the_process_has_its_pod_told(client, happened, redis_url, tmp_path, monkeypatch):
    @contextmanager
    def told(pod: str) -> Iterator:
        happened.append(pod)
        yield busy_of(happened)
        happened.append("over")

    monkeypatch.setattr(serving, "deletion_cost", told)
    works = GpuWorker.work
    monkeypatch.setattr(GpuWorker, "work", lambda self, **_: works(self, burst=True))
    send(client, "one")
    settings = WorkerSettings(redis_url=redis_url, pod_name="the-pod")
    serving.work(lambda messages, context_of: OneModel(MODEL), settings, open_storage(str(tmp_path)))

    assert happened == ["the-pod", "busy", "runs one", "idle", "over"]

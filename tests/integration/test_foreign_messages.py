"""A worker runs nothing but its own task, whatever a message in Redis names (RQ would import and call it)."""

import json
import zlib
from datetime import timedelta

import pytest
import redis
from rq import Queue
from rq.registry import StartedJobRegistry

from jobs.redis.message import hash_of, list_of, message_about, queue_name
from stack.redis_server import redis_server
from worker.drain import Drain
from worker.gpu_worker import GpuWorker
from worker.taking import OneModel
from worker.tasks import run_edit

MODEL = "tiny"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url, redis.Redis.from_url(url) as connection:
        yield connection


@pytest.fixture
def ran(monkeypatch):
    """The ids of the jobs that were run."""
    ids: list[str] = []
    monkeypatch.setattr("worker.tasks.run_edit", ids.append)
    return ids


def send(client: redis.Redis, job_id: str, **altered: bytes | str) -> None:
    """Puts a message into the queue as the service does, some of its fields altered."""
    message = message_about(job_id, MODEL)
    client.hset(message.hash, mapping=dict(zip(message.fields[::2], message.fields[1::2], strict=True)) | altered)
    client.rpush(message.list, message.id)


def work_off(client: redis.Redis) -> None:
    """A worker takes what is in the queue, and ends."""
    assert GpuWorker(OneModel(MODEL), client, Drain(timedelta(seconds=1))).work(burst=True), (
        "nothing was taken from the queue"
    )


def call(function: object, *arguments: object, instance: object = None, **named: object) -> str:
    return json.dumps([function, instance, arguments, named])


@pytest.mark.parametrize(
    "data",
    [
        lambda path: call("os.mkdir", path),
        lambda path: zlib.compress(call("os.mkdir", path).encode()),
        lambda path: call("os.system", f"mkdir {path}"),
        lambda path: call("mkdir", path, instance="pathlib"),
        lambda path: call("worker.tasks.run_edit", "job", path),
        lambda path: call("worker.tasks.run_edit", job_id=path),
        lambda path: call("worker.tasks.run_edit", {"path": path}),
        lambda path: call("worker.tasks.set_context", path),
        lambda path: call(None, path),
        lambda path: call(["os.mkdir"], path),
        lambda path: "not JSON",
        lambda path: b"\x80\x04\x8c\x05posix\x8c\x05mkdir\x93\x8c\x01x\x85R.",
    ],
    ids=["function", "packed", "shell", "method", "more arguments", "by name", "object", "sibling", "none", "list",
         "text", "pickle"],
)  # fmt: skip
def test_a_message_that_asks_for_something_else_is_refused_and_the_next_one_is_run(client, ran, tmp_path, data):
    foreign = tmp_path / "made"
    send(client, "foreign", data=data(str(foreign)))
    send(client, "mine")

    work_off(client)

    assert not foreign.exists()
    assert ran == ["mine"]
    assert client.llen(list_of(MODEL)) == 0


@pytest.mark.parametrize("callback", ["success_callback_name", "failure_callback_name", "stopped_callback_name"])
def test_a_callback_that_a_message_names_is_not_called(client, ran, callback, monkeypatch):
    called = []
    monkeypatch.setattr("shutil.which", lambda *given, **_: called.append(given))
    send(client, "mine", **{callback: "shutil.which"})
    send(client, "foreign", data=call("os.getpid"), **{callback: "shutil.which"})

    work_off(client)

    assert ran == ["mine"]
    assert called == []


def test_a_webhook_that_a_message_names_is_not_called(client, ran, monkeypatch):
    posted = []
    monkeypatch.setattr("rq.webhook.urlopen", lambda *given, **_: posted.append(given))
    webhooks = [{"url": "http://127.0.0.1:9/", "job_status": status} for status in ("finished", "failed")]
    send(client, "mine", webhooks=json.dumps(webhooks))
    send(client, "foreign", data=call("os.getpid"), webhooks=json.dumps(webhooks))

    work_off(client)

    assert ran == ["mine"]
    assert posted == []


def abandoned(client: redis.Redis, place: str, **altered: str) -> None:
    """Puts a message with callbacks and webhooks where RQ's maintenance looks for what a worker has left."""
    message = message_about("left", MODEL)
    fields = dict(zip(message.fields[::2], message.fields[1::2], strict=True))
    webhooks = json.dumps([{"url": "http://127.0.0.1:9/", "job_status": status} for status in ("finished", "failed")])
    named = {f"{kind}_callback_name": "shutil.which" for kind in ("success", "failure", "stopped")}
    client.hset(message.hash, mapping=fields | named | {"status": "started", "webhooks": webhooks} | altered)
    queue = Queue(queue_name(MODEL), client)
    if place == "started":
        client.zadd(StartedJobRegistry(queue_name(MODEL), client).key, {f"{message.id}:execution": 1})
    else:
        client.rpush(queue.intermediate_queue_key, message.id)
        client.set(queue.intermediate_queue.get_first_seen_key(message.id), 1)
    client.delete(queue.registry_cleaning_key)


@pytest.mark.parametrize("retries", ["0", "1"])
@pytest.mark.parametrize("place", ["started", "taken"])
@pytest.mark.parametrize("data", [None, call("os.getpid")])
def test_nothing_that_a_message_names_is_called_when_it_looks_abandoned(client, ran, place, retries, data, monkeypatch):
    called = []
    monkeypatch.setattr("shutil.which", lambda *given, **_: called.append(given))
    monkeypatch.setattr("rq.webhook.urlopen", lambda *given, **_: called.append(given))
    abandoned(client, place, retries_left=retries, **({"data": data} if data else {}))
    send(client, "mine")

    work_off(client)

    assert called == []
    assert "mine" in ran


@pytest.mark.parametrize(
    "command", [{"command": "shutdown"}, {"command": "stop-job", "job_id": "mine"}, "not an object"]
)
def test_a_command_that_is_published_to_a_worker_is_not_heard(client, command):
    """RQ ends a worker, or kills its process group, for anybody who can publish."""
    worker = GpuWorker(OneModel(MODEL), client, Drain(timedelta(seconds=1)))
    worker.subscribe()

    assert client.publish(worker.pubsub_channel_name, json.dumps(command)) == 0
    worker.unsubscribe()


def test_the_refusal_is_logged_with_the_name_that_was_given(client, ran, caplog, tmp_path):
    send(client, "foreign", data=call("os.mkdir", str(tmp_path / "made")))

    work_off(client)

    assert "os.mkdir" in caplog.text
    assert "worker.tasks.run_edit" in caplog.text


def test_its_own_task_is_the_one_that_is_run(client):
    send(client, "mine")

    message = GpuWorker.job_class.fetch(
        client.lindex(list_of(MODEL), 0).decode(),
        client,
        GpuWorker(OneModel(MODEL), client, Drain(timedelta(seconds=1))).serializer,
    )

    assert message.func is run_edit
    client.delete(list_of(MODEL), hash_of(message.id))


@pytest.mark.parametrize(
    "altered",
    [
        {"created_at": "yesterday"},
        {"timeout": "x"},
        {"timeout": "9" * 400},
        {"ttl": "x"},
        {"retries_left": "3", "retry_intervals": "{"},
        {"retries_left": "x"},
        {"status": b"\xff"},
        {"origin": b"\xff"},
        {"meta": "{"},
        {"enqueued_at": "2026-13-45"},
    ],
    ids=lambda altered: "+".join(altered),
)
def test_a_message_that_cannot_be_read_is_left_out_and_the_next_one_is_run(client, ran, altered):
    send(client, "broken", **altered)
    send(client, "mine")

    work_off(client)

    assert "mine" in ran
    assert client.llen(list_of(MODEL)) == 0


@pytest.mark.parametrize("name", [b"\xff", b"x:y:z", b"../..", b"*", b"a b", b"a\nb", b"", b"x" * 5000])
def test_a_queue_that_names_no_message_costs_no_worker(client, ran, name):
    client.rpush(list_of(MODEL), name)
    send(client, "mine")

    work_off(client)

    assert ran == ["mine"]


def test_a_refused_message_is_not_tried_again(client, ran):
    send(client, "foreign", data=call("os.getpid"), retries_left="99999", retry_intervals="[0]")
    send(client, "mine")

    work_off(client)

    assert ran == ["mine"]
    assert client.llen(list_of(MODEL)) == 0

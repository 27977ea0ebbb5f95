"""Clients that follow edits, at a real API over a real Redis; nobody works the edits off but these tests."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
import redis

from benchmarks.followers.__main__ import QUICK, measured
from jobs import moves
from jobs.model import JobProgress
from jobs.redis import keys
from jobs.redis.connection import patient_client
from jobs.redis.store import RedisJobStore
from service.api_keys import KeyRing
from stack.processes import running, stop
from stack.redis_server import private_socket, server_command, url_of
from stack.services import stack

EDIT = {
    "model": "tiny",
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
}


class Listener:
    """Reads an event stream in a thread.

    Attributes:
        found: names and ids of the events so far.
        status: of the answer.
    """

    def __init__(self, url: str, edit_id: str, *, after: str = "", key: str = "") -> None:
        self.found: list[tuple[str, str]] = []
        self.status = 0
        headers = {"Last-Event-ID": after, **({"Authorization": f"Bearer {key}"} if key else {})}
        self._asked = f"{url}/v1/edits/{edit_id}/events", headers
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        url, headers = self._asked
        name = ""
        with httpx.stream("GET", url, headers=headers, timeout=60) as response:
            self.status = response.status_code
            for line in response.iter_lines():
                kind, _, value = line.partition(": ")
                if kind == "event":
                    name = value
                elif kind == "id":
                    self.found.append((name, value))

    def names(self) -> list[str]:
        """The events, once the stream is over."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert len(set(self.found)) == len(self.found)
        return [name for name, _ in self.found]

    def until(self, name: str) -> None:
        """Waits for an event."""
        until(lambda: name in [found for found, _ in self.found])


def until(is_so: Callable[[], object]) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def api_over(redis_url: str, folder, models_file, **settings: str) -> Iterator[SimpleNamespace]:
    """The API, the reaper and the outbox on a Redis that runs, and what a worker works with."""
    with ExitStack() as parts:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REDIS_URL", redis_url)  # while it starts: other fixtures start a Redis of their own
            started = parts.enter_context(stack(folder, {}, models_file=models_file, settings=settings))
        client = parts.enter_context(patient_client(redis_url))
        yield SimpleNamespace(
            url=started.url,
            http=parts.enter_context(httpx.Client(base_url=started.url, timeout=60)),
            client=client,
            store=RedisJobStore(client),
            process=started.processes["api"],
            folder=folder,
        )


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """A Redis of this file's own, which writes everything down, and how it is restarted."""
    folder = tmp_path_factory.mktemp("followers-redis")
    with ExitStack() as servers:
        path = servers.enter_context(private_socket())
        command = [*server_command(path, folder, keep=True), "--appendfsync", "always"]
        server = servers.enter_context(running("redis", command, folder / "redis.log"))

        def restart() -> None:
            stop(server)
            servers.enter_context(running("redis", command, folder / "redis.log"))

        yield SimpleNamespace(url=url_of(path), restart=restart)


@pytest.fixture(scope="module")
def api(own_redis, tiny_models, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """An API that lets a key have three waits and streams."""
    with api_over(own_redis.url, tmp_path_factory.mktemp("followers"), tiny_models, STREAMS_PER_KEY="3") as started:
        yield started


@pytest.fixture
def key(api) -> SimpleNamespace:
    """A key of its own for a test, with the number of streams that all have."""
    return key_of(api)


def key_of(api, **limits: int) -> SimpleNamespace:
    created = KeyRing(api.client).create("test", **limits)
    assert created
    headers = {"Authorization": f"Bearer {created[1]}"}
    return SimpleNamespace(id=created[0].id, token=created[1], headers=headers)


def posted(api, key, **headers: str) -> str:
    response = api.http.post("/v1/edits", json=EDIT, headers={**key.headers, **headers})
    assert response.status_code == 202, response.text
    return response.json()["id"]


def begun(api, edit_id: str):
    return api.store.make(moves.begin(api.store.get(edit_id), "execution", timedelta(hours=1)))


def test_five_hundred_followers_receive_every_event_over_few_connections(tmp_path):
    report = measured(QUICK, tmp_path)

    assert report["followers"] == 500
    assert report["lost_events"] == 0
    assert report["redis_connections"] <= 20
    assert set(report) == {
        "followers",
        "redis_connections",
        "status_p99_ms_alone",
        "status_p99_ms_beside",
        "lost_events",
    }


def test_a_client_that_comes_back_receives_what_follows_the_last_event_it_saw(api, key):
    job = begun(api, posted(api, key))
    first = Listener(api.url, job.id, key=key.token)
    first.until("started")
    second = Listener(api.url, job.id, key=key.token, after=first.found[0][1])
    second.until("started")
    api.store.make(moves.report(job, JobProgress(step=1, steps=2)))
    api.store.make(moves.finish(job, ()))

    assert first.names() == ["queued", "started", "progress", "succeeded"]
    assert second.names() == ["started", "progress", "succeeded"]


def test_one_wait_or_stream_too_many_is_refused_and_the_place_is_free_when_a_client_leaves(api, key):
    edit_id = posted(api, key)
    listeners = [Listener(api.url, edit_id, key=key.token) for _ in range(2)]
    for listener in listeners:
        listener.until("queued")
    with httpx.stream("GET", f"{api.url}/v1/edits/{edit_id}/events", headers=key.headers) as third:
        assert third.status_code == 200
        for refused in (
            api.http.get(f"/v1/edits/{edit_id}", params={"wait": 1}, headers=key.headers),
            api.http.get(f"/v1/edits/{edit_id}/events", headers=key.headers),
        ):
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
            assert int(refused.headers["Retry-After"]) >= 1
        # Everything else of the key goes on, and so does another key.
        assert api.http.get(f"/v1/edits/{edit_id}", headers=key.headers).status_code == 200
        other = key_of(api)
        waited = api.http.get(f"/v1/edits/{posted(api, other)}", params={"wait": 1}, headers=other.headers)
        assert waited.status_code == 200
    until(lambda: api.http.get(f"/v1/edits/{edit_id}", params={"wait": 1}, headers=key.headers).status_code == 200)
    api.store.make(moves.cancel(api.store.get(edit_id)))
    assert [listener.names() for listener in listeners] == 2 * [["queued", "canceled"]]


def test_a_wait_whose_client_leaves_frees_its_place(api, key):
    edit_id = posted(api, key)
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            api.http.get(
                f"/v1/edits/{edit_id}", params={"wait": 60}, headers=key.headers, timeout=httpx.Timeout(60, read=0.3)
            )

    until(lambda: api.http.get(f"/v1/edits/{edit_id}", params={"wait": 1}, headers=key.headers).status_code == 200)


def test_an_edit_that_would_rather_be_waited_for_is_accepted_where_no_place_is_left(api, key):
    edit_id = posted(api, key)
    listeners = [Listener(api.url, edit_id, key=key.token) for _ in range(3)]
    for listener in listeners:
        listener.until("queued")

    prefer = {**key.headers, "Prefer": "wait=30, respond-async"}
    edit = api.http.post("/v1/edits", json=EDIT, headers=prefer)
    put = api.http.put("/v1/edits/order-1", json=EDIT, headers=prefer)
    batch = api.http.post("/v1/batches", json={"edits": [EDIT]}, headers=prefer)

    for response in (edit, put, batch):
        assert response.status_code == 202
        assert response.headers["Preference-Applied"] == "respond-async"
        assert api.http.get(response.headers["Location"], headers=key.headers).status_code == 200
    waited = api.http.get(batch.headers["Location"], params={"wait": 1}, headers=key.headers)
    assert (waited.status_code, waited.json()["code"]) == (429, "too_many_streams")
    api.store.make(moves.cancel(api.store.get(edit_id)))
    for listener in listeners:
        listener.names()


def test_a_key_has_its_own_number_of_streams(api):
    few, many = key_of(api, streams=1), key_of(api, streams=5)
    for key, number in ((few, 1), (many, 5)):
        edit_id = posted(api, key)
        listeners = [Listener(api.url, edit_id, key=key.token) for _ in range(number)]
        for listener in listeners:
            listener.until("queued")
        refused = api.http.get(f"/v1/edits/{edit_id}/events", headers=key.headers)
        assert refused.status_code == 429
        api.store.make(moves.cancel(api.store.get(edit_id)))
        for listener in listeners:
            listener.names()


def test_an_edit_that_is_erased_while_it_is_followed_ends_the_stream(api, key):
    edit_id = posted(api, key)
    listener = Listener(api.url, edit_id, key=key.token)
    listener.until("queued")
    # As a Redis that has lost it: an edit that has not ended cannot be erased over HTTP.
    api.client.delete(keys.record(edit_id), keys.events(edit_id))

    assert listener.names() == ["queued"]


def test_an_edit_that_is_erased_as_soon_as_it_ends_is_followed_to_its_end(api, key):
    job = begun(api, posted(api, key))
    listener = Listener(api.url, job.id, key=key.token)
    listener.until("started")
    api.store.make(moves.finish(job, ()))
    assert api.http.delete(f"/v1/edits/{job.id}", headers=key.headers).status_code == 204

    assert listener.names()[-1] == "succeeded"


def test_a_wait_for_a_batch_ends_with_its_last_edit(api, key):
    batch = api.http.post("/v1/batches", json={"edits": [EDIT, EDIT]}, headers=key.headers).json()
    answers: list[httpx.Response] = []

    def wait() -> None:
        answers.append(httpx.get(f"{api.url}/v1/batches/{batch['id']}?wait=60", headers=key.headers, timeout=70))

    waiting = threading.Thread(target=wait)
    waiting.start()
    for edit in batch["edits"]:
        api.store.make(moves.cancel(api.store.get(edit["id"])))
    waiting.join(70)

    assert answers[0].json()["finished_at"]


def test_a_restart_of_redis_loses_and_repeats_no_event(api, own_redis, key):
    job = begun(api, posted(api, key))
    listener = Listener(api.url, job.id, key=key.token)
    listener.until("started")
    answers: list[httpx.Response] = []

    def wait() -> None:
        answers.append(httpx.get(f"{api.url}/v1/edits/{job.id}?wait=60", headers=key.headers, timeout=70))

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: "p2p_followers 2.0" in api.http.get("/metrics").text)
    own_redis.restart()
    # Written while the API may not be connected again yet.
    api.store.make(moves.report(job, JobProgress(step=1, steps=2)))
    listener.until("progress")
    api.store.make(moves.finish(job, ()))

    assert listener.names() == ["queued", "started", "progress", "succeeded"]
    waiting.join(70)
    assert (answers[0].status_code, answers[0].json()["status"]) == (200, "succeeded")


def test_a_redis_user_that_may_not_publish_is_served_all_the_same(tmp_path, tiny_models):
    """The default of users that are made by hand since Redis 7: no channels."""
    with private_socket() as path, running("redis", server_command(path, tmp_path, keep=False), tmp_path / "redis.log"):
        admin = redis.Redis(unix_socket_path=str(path))
        until(lambda: _answers(admin))
        admin.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "resetchannels")
        with api_over(url_of(path, login="app:secret@"), tmp_path / "stack", tiny_models) as api:
            job_id = api.http.post("/v1/edits", json=EDIT).json()["id"]
            listener = Listener(api.url, job_id)
            listener.until("queued")
            job = begun(api, job_id)
            listener.until("started")
            api.store.make(moves.finish(job, ()))
            assert listener.names() == ["queued", "started", "succeeded"]
        warnings = [line for line in (tmp_path / "stack" / "api.log").read_text().splitlines() if "not heard" in line]
        assert len(warnings) == 1


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_an_api_that_is_told_to_end_answers_its_waits_and_ends_its_streams_with_their_edit(
    api, own_redis, tiny_models, tmp_path, key
):
    with api_over(own_redis.url, tmp_path, tiny_models) as ending:
        job = begun(ending, posted(ending, key))
        listener = Listener(ending.url, job.id, key=key.token)
        listener.until("started")
        answers: list[httpx.Response] = []

        def wait() -> None:
            answers.append(httpx.get(f"{ending.url}/v1/edits/{job.id}?wait=60", headers=key.headers, timeout=70))

        waiting = threading.Thread(target=wait)
        waiting.start()
        until(lambda: "p2p_followers 2.0" in ending.http.get("/metrics").text)
        ending.http.close()
        ending.process.terminate()
        until(lambda: "Waiting for" in (ending.folder / "api.log").read_text())
        ending.store.make(moves.finish(job, ()))
        waiting.join(70)

        assert listener.names()[-1] == "succeeded"
        assert answers[0].json()["status"] == "succeeded"
        ending.process.wait(30)
        assert "not heard" not in (ending.folder / "api.log").read_text()

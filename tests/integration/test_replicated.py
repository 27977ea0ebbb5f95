"""REDIS_REPLICAS: what was told to anybody survives a failover, and what may not survive it is told to nobody."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import redis

import stack
from benchmarks.recovery.failing_over import NAME, FailingOver, failing_over, until
from jobs import moves
from jobs.model import JobStatus, new_job
from jobs.redis import replicated
from jobs.redis.connection import patient_async_client, patient_client
from jobs.redis.store import RedisJobStore
from jobs.redis.upkeep import Upkeep
from outbox.due_list import Outbox
from stack.processes import python, running
from tests.api_process import api_process, sent
from tests.edits import CAT_TO_DOG
from tests.patience import ANSWER, PATIENCE
from webhooks.messages import message_about

PICTURE = (Path(stack.__file__).parent / "photo.png").read_bytes()
EDIT = {"model": "tiny", "source": {"prompt": "a cat"}, "targets": [{"prompt": "a dog"}]}


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[FailingOver]:
    with failing_over(tmp_path_factory.mktemp("failing-over")) as started:
        yield started


@pytest.fixture(scope="module")
def api(servers, tiny_models, tmp_path_factory) -> Iterator[httpx.Client]:
    """An API whose writes one replica must have."""
    folder = tmp_path_factory.mktemp("api")
    with (
        api_process(folder, servers.url, tiny_models, REDIS_REPLICAS=1) as started,
        httpx.Client(base_url=started.url, timeout=ANSWER) as client,
    ):
        yield client


@pytest.fixture
def away(servers) -> Iterator[None]:
    """The replica receives nothing."""
    servers.wait_until_whole()
    with servers.replica_paused():
        yield
    servers.wait_until_whole()


@pytest.fixture
def client(servers) -> Iterator[redis.Redis]:
    with patient_client(servers.url) as connected:
        yield connected


def post(api: httpx.Client, name: str = "", **more: object) -> httpx.Response:
    return api.post("/v1/edits", json={**EDIT, **more}, headers={"Idempotency-Key": name} if name else {})


def is_not_replicated(response: httpx.Response) -> bool:
    return (response.status_code, response.json()["code"]) == (503, "not_replicated")


def test_an_edit_is_accepted_once_a_replica_has_it(api):
    assert post(api).status_code == 202


def test_an_edit_that_no_replica_has_is_answered_503_and_sent_again_it_is_the_same(api, servers):
    before = len(api.get("/v1/edits").json()["edits"])
    with servers.replica_paused():
        first, again = post(api, "an edit"), post(api, "an edit")
        # Who only reads waits for no replica.
        assert api.get("/v1/edits").is_success
    servers.wait_until_whole()
    last = post(api, "an edit")

    assert is_not_replicated(first)
    assert first.headers["Retry-After"] == "2"
    assert "same Idempotency-Key" in first.json()["detail"]
    # What was there before is no more safe than it was then.
    assert is_not_replicated(again)
    assert last.status_code == 202
    listed = api.get("/v1/edits").json()["edits"]
    assert len(listed) == before + 1
    assert last.json()["id"] in [edit["id"] for edit in listed]


def test_what_is_refused_is_refused_for_its_own_reason(api, away):
    assert is_not_replicated(post(api, "another"))

    assert post(api, "another", priority="low").json()["code"] == "idempotency_key_reused"


def test_a_batch_that_no_replica_has_is_answered_503(api, away):
    response = api.post("/v1/batches", json={"edits": [EDIT, EDIT]})

    assert is_not_replicated(response), response.text


def test_an_edit_is_canceled_and_erased_once_a_replica_knows_of_it(api, servers):
    edit = post(api).headers["Location"]
    with servers.replica_paused():
        assert is_not_replicated(api.post(f"{edit}/cancel"))
        # Asked again it is canceled already, and a failover could still undo that.
        assert is_not_replicated(api.post(f"{edit}/cancel"))
    servers.wait_until_whole()
    assert api.post(f"{edit}/cancel").is_success
    with servers.replica_paused():
        assert is_not_replicated(api.delete(edit))
    servers.wait_until_whole()


def test_a_picture_is_kept_and_erased_once_a_replica_knows_of_it(api, servers):
    kept = sent(api, PICTURE).headers["Location"]
    with servers.replica_paused():
        assert is_not_replicated(sent(api, PICTURE))
        assert is_not_replicated(api.delete(kept))
    servers.wait_until_whole()


def test_scripts_that_the_next_primary_does_not_know_are_given_to_it(api, servers):
    with servers.server(servers.primary()) as direct:
        direct.script_flush()

    assert post(api).status_code == 202
    edit = post(api).headers["Location"]
    with servers.server(servers.primary()) as direct:
        direct.script_flush()
    assert api.post(f"{edit}/cancel").is_success


@pytest.fixture
def accepted_under(api) -> Callable[[Callable[[], None]], list[str]]:
    """Posts from four threads until something has happened and an answer is no 202; gives what was accepted."""

    def under(happens: Callable[[], None]) -> list[str]:
        accepted: list[str] = []

        def posting() -> None:
            while (answer := post(api)).status_code == 202:
                accepted.append(answer.headers["Location"])
            assert answer.status_code == 503

        with ThreadPoolExecutor(4) as pool:
            under_way = [pool.submit(posting) for _ in range(4)]
            until(lambda: len(accepted) >= 40)
            happens()
            for each in under_way:
                each.result()
        return accepted

    return under


def test_every_edit_that_was_accepted_before_the_primary_was_killed_is_there_afterwards(api, servers, accepted_under):
    before = servers.primary()
    accepted = accepted_under(servers.kill_primary)
    until(lambda: servers.primary() != before)

    assert [edit for edit in accepted if not api.get(edit).is_success] == []
    servers.mend(before)


def test_every_edit_that_was_accepted_during_a_failover_on_purpose_is_there_afterwards(api, servers, accepted_under):
    before = servers.primary()
    accepted = accepted_under(lambda: servers.asked(servers.sentinels[0], "SENTINEL FAILOVER", NAME))
    until(lambda: servers.primary() != before)
    servers.wait_until_whole()

    assert [edit for edit in accepted if not api.get(edit).is_success] == []


def a_job(store: RedisJobStore):
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    store.create(job)
    return store.make(moves.begin(job, "an execution", timedelta(minutes=10)))


def test_an_end_that_is_lost_with_the_primary_is_written_again_to_the_next_one(servers, client, monkeypatch):
    # Its replica is waited for until the connection is gone.
    monkeypatch.setattr(replicated, "WITHIN", 0)
    job = a_job(RedisJobStore(client))
    servers.wait_until_whole()
    ended = []

    def finish() -> None:
        with patient_client(servers.url) as worker:
            ended.append(RedisJobStore(worker, replicas=1).make(moves.finish(job, ())))

    with servers.replica_paused():
        thread = threading.Thread(target=finish)
        thread.start()
        until(lambda: any(each["cmd"] == "wait" for each in client.client_list()))
        killed = servers.kill_primary()
    until(lambda: servers.primary() != killed)
    servers.mend(killed)
    thread.join()

    assert ended[0].status is JobStatus.SUCCEEDED
    with servers.server(servers.primary()) as direct:
        assert RedisJobStore(direct).get(job.id).status is JobStatus.SUCCEEDED
        assert [fields for _, fields in direct.xrange("outbox") if fields["job"] == job.id] != []


def test_a_worker_goes_on_where_no_replica_acknowledges_an_end_and_says_so(servers, client, away, caplog):
    job = a_job(RedisJobStore(client))

    assert RedisJobStore(client, replicas=1).make(moves.finish(job, ())).status is JobStatus.SUCCEEDED
    assert "fewer than 1 replicas acknowledged a write" in caplog.text


def test_a_webhook_is_claimed_once_a_replica_knows_of_the_end(servers, client, monkeypatch, caplog):
    monkeypatch.setattr("outbox.due_list.LEASE", 1)
    client.flushdb()
    store = RedisJobStore(client)
    job = a_job(store)
    servers.wait_until_whole()

    async def claimed() -> None:
        async with patient_async_client(servers.url) as sender:
            outbox = Outbox(sender, replicas=1)

            async def message_for(subject: str):
                return message_about(store.get(subject))

            with servers.replica_paused():
                store.make(moves.finish(job, ()))
                assert (await outbox.accept(message_for, wait=PATIENCE * 1000)).looked_at == 1
                assert await outbox.claim(10) == []
            assert "fewer than 1 replicas know of their ends" in caplog.text
            await asyncio.to_thread(servers.wait_until_whole)
            async with asyncio.timeout(PATIENCE):
                while not (claims := await outbox.claim(10)):
                    await asyncio.sleep(0.05)
            assert [claim.subject for claim in claims] == [job.id]

    asyncio.run(claimed())


def test_nothing_is_removed_from_the_storage_before_a_replica_knows_that_it_is_to_be(servers, client):
    client.flushdb()
    servers.wait_until_whole()
    # Over another connection than what is written.
    with patient_client(servers.url) as reaper:
        upkeep = Upkeep(reaper, replicas=1)
        assert upkeep.litter() == []
        with servers.replica_paused():
            client.zadd("litter", {"jobs/a": 0})
            assert upkeep.litter() == []
        servers.wait_until_whole()

        assert upkeep.litter() == ["jobs/a"]


def test_an_operator_is_told_where_a_failover_may_undo_a_change(servers, away, tiny_models, tmp_path):
    log = tmp_path / "admin.log"
    environment = {"REDIS_URL": servers.url, "MODELS_FILE": str(tiny_models), "REDIS_REPLICAS": "1"}
    for command, code in (("keys list", 0), ("keys create somebody", 1)):
        with running("admin", python("-m", "admin", *command.split()), log, environment) as admin:
            assert admin.wait(PATIENCE) == code
    assert "a failover may undo it" in log.read_text().splitlines()[-1]


def test_where_no_replica_must_acknowledge_anything_nothing_else_is_sent(
    redis_url, redis_client, tiny_models, tmp_path
):
    redis_client.flushdb()
    redis_client.config_resetstat()
    with api_process(tmp_path, redis_url, tiny_models) as started, httpx.Client(base_url=started.url) as api:
        edit = post(api).headers["Location"]
        api.post(f"{edit}/cancel")
        sent(api, PICTURE)
    store = RedisJobStore(redis_client)
    store.make(moves.finish(a_job(store), ()))
    Upkeep(redis_client).litter()

    assert "cmdstat_wait" not in redis_client.info("commandstats")


def test_the_number_of_replicas_is_checked(tiny_models, tmp_path):
    log = tmp_path / "reaper.log"
    with running("reaper", python("-m", "reaper"), log, {"REDIS_REPLICAS": "-1"}) as reaper:
        assert reaper.wait(PATIENCE) == 1
    assert log.read_text().startswith("REDIS_REPLICAS: ")

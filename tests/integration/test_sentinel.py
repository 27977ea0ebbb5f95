"""REDIS_URL names Sentinels: every client finds the server that takes writes, before and after a failover."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis

from benchmarks.recovery.failing_over import NAME, PASSWORD, SENTINELS_PASSWORD, USER, FailingOver, failing_over, until
from jobs.errors import RefusedRedis
from jobs.redis.connection import (
    patient_async_client,
    patient_client,
    patient_rq_client,
    reached,
    refuse_wrong,
    wait_for,
)
from jobs.redis.schemes import SCHEMES, client
from jobs.redis.sentinels import PrimaryUnknown
from jobs.redis.wires import NoPrimary
from process.redis_url import checked_redis_url
from service.connections import redis_client
from stack.ports import free_port
from tests.tls_proxy import certificate, speaking_tls


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[FailingOver]:
    with failing_over(tmp_path_factory.mktemp("failing-over")) as started:
        yield started


def test_every_client_writes_to_the_next_primary_once_the_first_is_killed(servers):
    url = checked_redis_url(servers.url)
    wait_for(url)

    async def go_on() -> None:
        api, outbox = redis_client(url, decode_responses=True), patient_async_client(url)
        with patient_client(url) as worker, patient_rq_client(url) as rq:
            for each in (worker, rq):
                each.set("a", "before")
            for awaited in (api, outbox):
                await awaited.set("a", "before")
            killed = await asyncio.to_thread(servers.kill_primary)
            # These wait until there is a primary again.
            assert worker.set("worker", "after")
            assert rq.set("rq", "after")
            assert await outbox.set("outbox", "after")
            # The API answers 503 meanwhile, and finds the next primary by itself.
            assert await api.set("api", "after")
            now = await asyncio.to_thread(servers.primary)
            assert now != killed
            with servers.server(now) as direct:
                assert direct.mget("worker", "rq", "outbox", "api") == ["after"] * 4
            await asyncio.to_thread(servers.mend, killed)
        await api.aclose()
        await outbox.aclose()

    asyncio.run(go_on())


def test_the_apis_client_fails_while_there_is_no_primary_and_is_right_at_its_next_request(servers):
    async def asked() -> None:
        api = redis_client(servers.url, decode_responses=True)
        await api.set("a", "before")
        killed = await asyncio.to_thread(servers.kill_primary)
        with pytest.raises(redis.ConnectionError):
            await api.set("a", "meanwhile")
        await asyncio.to_thread(until, lambda: servers.primary() != killed)
        assert await api.set("a", "after")
        await asyncio.to_thread(servers.mend, killed)
        await api.aclose()

    asyncio.run(asked())


def test_a_primary_that_was_made_a_replica_is_left_and_what_it_refused_is_sent_to_the_next(servers):
    before = servers.primary()
    with patient_client(servers.url) as worker, worker.pipeline(transaction=False) as commands:
        worker.set("a", "before")
        servers.asked(servers.sentinels[0], "SENTINEL FAILOVER", NAME)
        now = until(lambda: (primary := servers.primary()) != before and primary)
        with servers.server(before) as old:
            until(lambda: old.role()[0] == "slave")
        commands.set("a", "after")
        commands.get("a")
        assert commands.execute() == [True, "after"]
        with servers.server(now) as direct:
            assert direct.get("a") == "after"
    servers.wait_until_whole()


def test_a_sentinel_that_names_a_replica_is_not_believed(servers):
    primary = servers.primary()
    (replica,) = (port for port in servers.ports if port != primary)
    with client(servers.url) as mistaken:
        sentinels = mistaken.connection_pool.connection_kwargs["sentinels"]
        sentinels.primary = lambda: ("127.0.0.1", replica)
        with pytest.raises(NoPrimary, match="a slave now"):
            mistaken.ping()


def test_the_sentinel_that_answers_is_asked_first_from_then_on(servers):
    gone = free_port()
    url = servers.url.replace("@", f"@127.0.0.1:{gone},", 1)
    with client(url) as asking:
        assert asking.ping()
        first, *_ = asking.connection_pool.connection_kwargs["sentinels"].addresses
    assert first == ("127.0.0.1", servers.sentinels[0])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((f"/{NAME}/", "/other/"), "give the name that the Sentinels give their primary"),
        ((SENTINELS_PASSWORD, "hush-no"), "give the user and password"),
        ((f"?sentinel_password={SENTINELS_PASSWORD}", ""), "give the user and password"),
        ((f"{USER}:{PASSWORD}@", f"{USER}:hush-no@"), "give the user and password"),
        ((f"{USER}:{PASSWORD}@", ""), "give the user and password"),
        (("/0?", "/99?"), "give a database that it has"),
        (("?", "?sentinel_tls=true&"), r"the Sentinel 127.0.0.1:.* without TLS; give \?sentinel_tls=false"),
        (("redis+sentinel://", "rediss+sentinel://"), "the Sentinel 127.0.0.1:.* without TLS"),
        (("redis+sentinel://", "rediss+sentinel://", "?", "?sentinel_tls=false&"), "the primary: .*; give redis\\+sen"),
    ],
)
def test_a_url_that_can_never_work_is_refused_and_what_to_do_is_said(servers, change, says):
    url = servers.url
    for old, new in zip(change[::2], change[1::2], strict=True):
        url = url.replace(old, new)

    with pytest.raises(RefusedRedis, match=says) as refused:
        reached(checked_redis_url(url))

    assert "hush" not in str(refused.value)


def test_a_server_that_is_no_sentinel_is_refused(servers):
    url = f"redis+sentinel://{USER}:{PASSWORD}@127.0.0.1:{servers.ports[0]}/{NAME}"

    with pytest.raises(RefusedRedis, match=r"no Sentinel|give the user and password"):
        reached(f"{url}?sentinel_username={USER}&sentinel_password={PASSWORD}")


def test_sentinels_that_are_not_there_are_no_mistake():
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/{NAME}"

    assert not refuse_wrong(url)
    with pytest.raises(redis.ConnectionError, match="no answer within"):
        reached(url, patience=0.1)


def test_one_sentinel_that_is_away_may_know_what_another_does_not(servers):
    url = servers.url.replace(f"/{NAME}/", "/other/").replace("@", f"@127.0.0.1:{free_port()},", 1)

    assert not refuse_wrong(url)


def test_a_redis_behind_sentinels_that_may_drop_jobs_is_refused(servers):
    with servers.server(servers.primary()) as direct:
        direct.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(Exception, match="maxmemory-policy is allkeys-lru"):
            wait_for(servers.url)
        direct.config_set("maxmemory-policy", "noeviction")


def test_an_old_primary_that_is_cut_off_from_its_replicas_is_a_lost_connection(servers):
    with servers.server(servers.primary()) as direct, client(servers.url) as writer:
        direct.config_set("min-replicas-to-write", 2)
        with pytest.raises(NoPrimary, match="NOREPLICAS"):
            writer.set("a", 1)
        with pytest.raises(NoPrimary, match="NOREPLICAS"):
            writer.eval("return redis.call('SET', KEYS[1], 1)", 1, "a")
        back = threading.Timer(0.5, direct.config_set, ("min-replicas-to-write", 0))
        back.start()
        with patient_client(servers.url) as patient:
            assert patient.set("a", 1)
        back.join()


def test_who_waits_at_a_server_that_becomes_a_replica_learns_of_it(redis_url, redis_client):
    met: list[Exception] = []

    def waiting() -> None:
        with client(redis_url) as blocked:
            try:
                blocked.blpop(["nothing comes"], timeout=0)
            except redis.RedisError as error:
                met.append(error)

    thread = threading.Thread(target=waiting)
    thread.start()
    until(lambda: any(each["cmd"] == "blpop" for each in redis_client.client_list()))
    redis_client.replicaof("127.0.0.1", free_port())
    thread.join()
    with client(redis_url) as writer, pytest.raises(NoPrimary, match="takes no writes"):
        writer.set("a", 1)
    redis_client.replicaof("NO", "ONE")

    assert isinstance(met[0], NoPrimary)


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_sentinels_and_servers_speak_tls_with_an_authority_of_their_own(servers, tmp_path, scheme):
    made, key = certificate(tmp_path)
    first = servers.primary()
    with ExitStack() as parts:
        sentinel, primary = (
            parts.enter_context(speaking_tls(port, made, key)) for port in (servers.sentinels[0], first)
        )
        query = f"sentinel_password={SENTINELS_PASSWORD}&"
        query += f"ssl_ca_certs={made}" if scheme == "rediss" else f"sentinel_tls=true&sentinel_ssl_ca_certs={made}"
        url = checked_redis_url(f"{scheme}+sentinel://{USER}:{PASSWORD}@127.0.0.1:{sentinel}/{NAME}?{query}")
        named = SCHEMES[f"{scheme}+sentinel"].read(url)["sentinels"].primary()
        assert named == ("127.0.0.1", first)
        # Its build has no TLS, so what the Sentinels would name is the place of the proxy before it.
        with client(url) as blocking:
            sentinels = blocking.connection_pool.connection_kwargs["sentinels"]
            if scheme == "rediss":
                sentinels.primary = lambda: ("127.0.0.1", primary)
            assert blocking.set("a", "x" * 100_000)

        async def asked() -> None:
            api = redis_client(url, decode_responses=True)
            if scheme == "rediss":
                api.connection_pool.connection_kwargs["sentinels"] = sentinels
            assert await api.get("a") == "x" * 100_000
            await api.aclose()

        asyncio.run(asked())
        with pytest.raises(RefusedRedis, match="certificate verify failed"):
            reached(url.partition("?")[0] + f"?sentinel_password={SENTINELS_PASSWORD}&sentinel_tls=true")


def test_what_is_met_says_each_sentinel_and_no_password(servers):
    with client(servers.url.replace(f"/{NAME}/", "/other/")) as lost, pytest.raises(PrimaryUnknown) as met:
        lost.ping()

    assert all(f"127.0.0.1:{port}: No such master" in str(met.value) for port in servers.sentinels)
    assert "hush" not in str(met.value)

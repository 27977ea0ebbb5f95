"""A key's own signing secrets: made, rotated and dropped by a command, and used for what its webhooks are told."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook as OfficialWebhook
from standardwebhooks import WebhookVerificationError

from jobs import moves
from jobs.admission import Admission
from jobs.batches import BatchWebhook, gathered
from jobs.model import Webhook, new_job
from jobs.redis.store import AsyncRedisJobStore, RedisJobStore
from outbox import __main__ as module
from service.api_keys import ApiKey, KeyRing
from tests.edits import CAT_TO_DOG
from tests.integration.outbox.senders import Senders, a_round
from tests.patience import PATIENCE
from tests.receiver import Received, Receiver, receiving
from webhooks import secrets as secrets_of_keys
from webhooks.secrets import SECRETS, SecretRing, Signing
from webhooks.signature import key_of, new_secret

INSTALLATION = new_secret()
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def impatient(redis_client, monkeypatch) -> None:
    """An empty Redis, and senders that wait for nothing and take nothing on trust."""
    redis_client.flushdb()
    monkeypatch.setattr(module, "TURN", 1)
    monkeypatch.setattr(module, "LOOK", 0.01)
    monkeypatch.setattr(secrets_of_keys, "TRUSTED", 0.0)


@pytest.fixture
def key(redis_client) -> ApiKey:
    made = KeyRing(redis_client).create("somebody")
    assert made
    return made[0]


@pytest.fixture
def ring(redis_client) -> SecretRing:
    return SecretRing(redis_client)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def admin(redis_url) -> Callable[..., subprocess.CompletedProcess]:
    def done(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "admin", "secret", *arguments]
        return subprocess.run(command, env={"REDIS_URL": redis_url}, capture_output=True, text=True)

    return done


@pytest.fixture
def told(redis_client, redis_url, ring, receiver) -> Callable[..., Received]:
    """What a receiver is told of an owner's edit that has just ended, or of its batch."""

    def got(owner: str, *, by_installation: bool = False, batch: bool = False) -> Received:
        webhook = None if by_installation else Webhook(url=receiver.url)
        job = new_job(CAT_TO_DOG, lifetime=HOUR, owner=owner, webhook=None if batch else webhook)
        admission = Admission(jobs=[job])
        if batch:
            gathering, jobs = gathered([job], BatchWebhook(url=receiver.url))
            admission = Admission(jobs=jobs, batch=gathering)

        async def sent() -> None:
            async with Senders(redis_url) as senders, asyncio.timeout(PATIENCE):
                await AsyncRedisJobStore(senders.client).admit(admission)
                RedisJobStore(redis_client).make(moves.cancel(RedisJobStore(redis_client).get(job.id)))
                url = receiver.url if by_installation else ""
                await a_round(await senders.one(url, secrets_of=Signing(ring, [INSTALLATION])))

        before = len(receiver.got)
        asyncio.run(sent())
        (request,) = receiver.got[before:]
        return request

    return got


def signed_by(request: Received, *among: str) -> Sequence[str]:
    """Those of some secrets with which the official package verifies a request."""
    found = []
    for secret in among:
        try:
            OfficialWebhook(secret).verify(request.body, dict(request.headers))
            found.append(secret)
        except WebhookVerificationError:
            continue
    return found


def test_a_keys_messages_are_signed_with_its_own_secret_and_no_others(key, ring, told):
    own = ring.rotate(key.id, HOUR)

    assert signed_by(told(key.id), own, INSTALLATION) == [own]
    assert signed_by(told(key.id, batch=True), own, INSTALLATION) == [own]
    assert signed_by(told("another"), own, INSTALLATION) == [INSTALLATION]


def test_what_goes_to_the_installations_own_address_is_signed_with_its_own(key, ring, told):
    own = ring.rotate(key.id, HOUR)

    assert signed_by(told(key.id, by_installation=True), own, INSTALLATION) == [INSTALLATION]


def test_while_receivers_change_over_both_secrets_sign(key, ring, told, monkeypatch):
    first, second = ring.rotate(key.id, HOUR), ring.rotate(key.id, HOUR)
    assert signed_by(told(key.id), first, second, INSTALLATION) == [first, second]

    class Later(datetime):
        @classmethod
        def now(cls, tz=None) -> datetime:
            return datetime.now(tz) + HOUR

    monkeypatch.setattr(secrets_of_keys, "datetime", Later)

    assert signed_by(told(key.id), first, second, INSTALLATION) == [second]


def test_a_secret_that_others_know_is_replaced_at_once(key, ring, told):
    first, second = ring.rotate(key.id, HOUR), ring.rotate(key.id, timedelta(0))

    assert signed_by(told(key.id), first, second) == [second]


def test_a_rotation_never_lengthens_the_life_of_an_old_secret(key, ring):
    first, _, _ = ring.rotate(key.id, HOUR), ring.rotate(key.id, HOUR), ring.rotate(key.id, 24 * HOUR)

    (oldest,) = [each for each in ring.of(key.id) if each.secret == first]
    assert oldest.ends_at - datetime.now(UTC) <= HOUR


def test_secrets_are_made_rotated_listed_and_dropped_by_a_command(key, ring, admin, told):
    first = admin("create", key.id).stdout.strip()
    assert [each.secret for each in ring.of(key.id)] == [first]
    assert len(key_of(first)) == 32

    second = admin("rotate", key.id, "--overlap", "2").stdout.strip()
    assert signed_by(told(key.id), first, second) == [first, second]
    listed = admin("list").stdout
    assert listed.count(f"{key.id}\tsomebody") == 2
    assert "signs until" in listed
    assert first not in listed
    assert second not in listed

    assert "WEBHOOK_SECRET" in admin("drop", key.id).stdout
    assert signed_by(told(key.id), first, second, INSTALLATION) == [INSTALLATION]


def test_the_command_says_what_cannot_be_done(key, admin, redis_client):
    admin("create", key.id)

    for arguments, said in (
        (("create", key.id), f"secret rotate {key.id}"),
        (("create", "nobody"), "there is no key nobody"),
        (("rotate", "nobody"), "there is no key nobody"),
        (("drop", "nobody"), "has no secret of its own"),
    ):
        done = admin(*arguments)
        assert done.returncode == 1
        assert said in done.stderr
    assert redis_client.hlen(SECRETS) == 1


def test_without_more_it_makes_a_secret_for_the_installation(admin, redis_client):
    assert key_of(admin().stdout.strip())
    assert not redis_client.exists(SECRETS)

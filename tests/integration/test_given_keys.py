"""A key whose token was made elsewhere, such as the one in a Secret of Kubernetes, is taken from a file."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import redis.asyncio

from admin.keys import KEYS_ALREADY
from service.api_keys import KEYS, KeyHolders, KeyRing
from stack.patience import PATIENCE

TOKEN = f"p2p_0123456789ab_{'k' * 42}-"


@pytest.fixture
def ring(redis_client) -> KeyRing:
    redis_client.flushdb()
    return KeyRing(redis_client)


def create(redis_url: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "admin", "keys", "create", "first", *arguments]
    environment = {"REDIS_URL": redis_url, "PATH": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


async def opened(redis_url: str, token: str) -> str:
    async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
        return (await KeyHolders(client).of(f"Bearer {token}")).owner


def test_a_key_is_that_of_the_file_and_is_not_printed(ring, redis_url, redis_client, tmp_path):
    (tmp_path / "key").write_text(f"{TOKEN}\n")
    done = create(redis_url, "--token-file", str(tmp_path / "key"))

    assert (done.returncode, done.stderr) == (0, "")
    assert asyncio.run(opened(redis_url, TOKEN)) == "0123456789ab"
    assert "k" * 42 not in done.stdout + str(redis_client.hgetall(KEYS))


def test_a_second_start_makes_no_second_key(ring, redis_url, tmp_path):
    (tmp_path / "key").write_text(TOKEN)
    given = ("--unless-any", "--token-file", str(tmp_path / "key"))
    outcomes = [create(redis_url, *given) for _ in range(2)]

    assert [done.returncode for done in outcomes] == [0, 0]
    assert outcomes[1].stdout == f"{KEYS_ALREADY}\n"
    assert list(ring.all()) == ["0123456789ab"]


@pytest.mark.parametrize(
    "text", ["", "secret", TOKEN[:-1], f"{TOKEN}k", TOKEN.upper(), f"Bearer {TOKEN}", f"{TOKEN}\n{TOKEN}", "p2p_é"]
)
def test_what_is_no_token_is_refused_and_not_shown(ring, redis_url, tmp_path, text):
    (tmp_path / "key").write_text(text, encoding="utf-8")
    done = create(redis_url, "--token-file", str(tmp_path / "key"))

    assert done.returncode == 1
    assert str(tmp_path / "key") in done.stderr
    assert not text or text not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not ring.any()


@pytest.mark.parametrize("path", ["missing", "."])
def test_a_file_that_cannot_be_read_is_named(ring, redis_url, tmp_path, path):
    done = create(redis_url, "--token-file", str(Path(tmp_path, path)))

    assert done.returncode == 1
    assert "cannot be read" in done.stderr
    assert not ring.any()


def test_a_key_takes_the_place_of_no_other(ring, redis_url, tmp_path):
    ring.create("mine", token=TOKEN)
    (tmp_path / "key").write_text(f"{TOKEN[:-1]}x")
    done = create(redis_url, "--token-file", str(tmp_path / "key"))

    assert "there is a key 0123456789ab already" in done.stderr
    assert asyncio.run(opened(redis_url, TOKEN)) == "0123456789ab"

"""Every user of a machine can list its processes with their arguments: none of them may hold a secret."""

import os
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from picture_files.bounded import _without_settings
from stack.ports import free_port
from stack.processes import running
from stack.redis_server import guarded_command, wait_for
from stack.services import stack
from tests.integration.conftest import poster, waiter
from tests.patience import ANSWER
from webhooks.signature import new_secret

PASSWORD = "a-password-of-this-test"


@pytest.fixture
def redis_with_password(tmp_path, monkeypatch):
    """The stack runs on a Redis that was set, with its password in the URL."""
    port = free_port()
    url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    with running("redis", guarded_command(port, PASSWORD, tmp_path, keep=False), tmp_path / "redis.log") as server:
        wait_for(url, server)
        monkeypatch.setenv("REDIS_URL", url)
        yield


def arguments() -> list[str]:
    """The arguments of every process of this machine that can be seen."""
    return [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]


def test_no_process_of_the_stack_shows_a_secret_and_no_log_holds_one(
    as_users_start_it, redis_with_password, s3_url, tiny_models, tmp_path
):
    s3 = urlsplit(s3_url)
    signing, artifacts = new_secret(), "an-artifact-secret-of-this-test"
    settings = {"STORAGE_URL": s3_url, "WEBHOOK_SECRET": signing, "ARTIFACT_SECRET": artifacts, "OMP_NUM_THREADS": "1"}
    secrets = [PASSWORD, s3.username, s3.password, signing, artifacts]
    with stack(tmp_path / "stack", {"tiny": 1}, models_file=tiny_models, settings=settings) as started:
        with httpx.Client(base_url=started.url, timeout=ANSWER) as client:
            ended = waiter(client)(poster(client)(steps=1))
        shown = arguments()

    logs = {log.name: log.read_text(errors="replace") for log in (tmp_path / "stack").glob("*.log")}
    assert ended["status"] == "succeeded"
    assert any("-m worker --model tiny" in line for line in shown)
    assert [line for line in shown if any(secret in line for secret in secrets)] == []
    assert {"api.log", "worker-tiny-1.log"} <= set(logs)
    assert [name for name, text in logs.items() if any(secret in text for secret in secrets)] == []


def test_the_process_that_reads_a_strangers_picture_is_given_no_setting(monkeypatch):
    for name in ("REDIS_URL", "STORAGE_URL", "WEBHOOK_SECRET", "ARTIFACT_SECRET", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, PASSWORD)

    assert PASSWORD not in _without_settings().values()
    assert _without_settings()["PATH"] == os.environ["PATH"]

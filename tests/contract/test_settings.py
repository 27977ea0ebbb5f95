"""A setting that cannot be ends a process with one line that names it."""

import os
import socket
import subprocess
import sys

import pytest

from reaper.settings import ReaperSettings
from tests.patience import PATIENCE
from webhooks.signature import new_secret


def ended(process: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", *process.split()]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("process", ["service", "reaper", "worker --model scenes"])
def test_a_storage_that_cannot_be_is_named_and_its_secret_is_not_shown(process):
    done = ended(process, STORAGE_URL="s3+http://key:hush@host:9000/")

    assert done.returncode == 1
    assert "STORAGE_URL" in done.stderr.splitlines()[-1]
    assert "hush" not in done.stderr


@pytest.mark.parametrize(
    ("process", "variable", "value"),
    [
        ("service", "PORT", "eighty"),
        ("reaper", "SWEEP_INTERVAL", "often"),
        ("worker --model scenes", "LEASE", "long"),
        ("service", "LOG_FORMAT", "xml"),
        ("outbox", "METRICS_PORT", "-1"),
        ("stack", "URL_LIFETIME", "x"),
        ("outbox", "WEBHOOK_URL", "backend:3000"),
        ("outbox", "WEBHOOK_PRIVATE", "perhaps"),
    ],
)
def test_a_value_that_cannot_be_is_named(process, variable, value):
    done = ended(process, **{variable: value})

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"{variable}: ")
    assert "Traceback" not in done.stderr


#: Every program that reads it.
PROGRAMS = ["service", "reaper", "outbox", "admin queues", "worker --model scenes", "stack"]


@pytest.mark.parametrize(
    ("process", "url"),
    [
        *((program, "redis+cluster://user:hush@one:1,two:2/0") for program in [*PROGRAMS, "stack.demo"]),
        ("service", ""),
        ("stack.demo", ""),
        ("admin keys list", "http://user:hush@host"),
    ],
)
def test_a_redis_that_cannot_be_ends_every_process_with_one_line(process, url):
    done = ended(process, REDIS_URL=url)

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.removeprefix("the demo failed: ").startswith("REDIS_URL: ")
    assert "redis://HOST:PORT/DATABASE" in line
    assert "hush" not in line


def test_a_port_of_metrics_that_another_process_has_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = ended("reaper", METRICS_PORT=str(port), STORAGE_URL=str(tmp_path))

    assert done.returncode == 1
    assert f"METRICS_PORT {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_moderation_hook_that_is_not_there_ends_the_worker(tmp_path):
    """Rather than working without it."""
    done = ended("worker --model scenes", MODERATION="no.such.module:judge", STORAGE_URL=str(tmp_path))

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("MODERATION='no.such.module:judge' cannot be used")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("secrets", ["hush", "whsec_hush", "{good} whsec_hush"])
def test_a_secret_that_cannot_be_is_not_shown(secrets):
    good = new_secret()
    done = ended("outbox", WEBHOOK_SECRET=secrets.format(good=good))

    assert done.returncode == 1
    assert done.stderr.startswith("WEBHOOK_SECRET: ")
    assert "hush" not in done.stderr
    assert good not in done.stderr


def test_a_span_is_a_number_of_seconds(monkeypatch):

    monkeypatch.setenv("SWEEP_INTERVAL", "0.5")

    assert ReaperSettings().sweep_interval.total_seconds() == 0.5

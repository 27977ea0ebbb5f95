"""The edits of `benchmarks.followers`: made by the store, run as workers run them, without a model.

`python -m benchmarks.followers.edits FILE STEPS SPREAD` runs those that the file lists, with REDIS_URL in the
environment.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import redis

from jobs import moves
from jobs.model import Artifact, JobProgress, artifact_key, new_job
from jobs.redis import keys
from jobs.redis.store import RedisJobStore
from p2p.spec import EditSpec

SPEC = EditSpec.model_validate(
    {
        "model": "scenes",
        "source": {"prompt": "a cat on a beach"},
        "targets": [{"prompt": "a dog on a beach", "edits": [{"kind": "replace"}]}],
    }
)
#: What Redis calls the benchmark's own connections.
NAME = "benchmarks.followers"
#: Seconds of a step: Stable Diffusion's 20 steps on a small GPU take about as long.
STEP = 1.0


@dataclass(frozen=True)
class Followed:
    """An edit that is followed, and the key that may see it."""

    id: str
    key: str


def made(client: redis.Redis, key: tuple[str, str]) -> Followed:
    """A new edit of a key, which is given by its id and its token."""
    job = new_job(SPEC, lifetime=timedelta(hours=1), owner=key[0])
    RedisJobStore(client).create(job)
    return Followed(job.id, key[1])


def polled(client: redis.Redis, key: tuple[str, str]) -> tuple[str, str]:
    """The address of a running edit of a key, and the key's token."""
    edit, store = made(client, key), RedisJobStore(client)
    running = store.make(moves.begin(store.get(edit.id), "execution", timedelta(hours=1)))
    store.make(moves.report(running, JobProgress(step=1, steps=20)))
    return f"/v1/edits/{edit.id}", edit.key


def finished_ids(client: redis.Redis, followed: Sequence[Followed]) -> Sequence[Sequence[str]]:
    """The ids of each edit's events, once it has ended."""
    streams = [cast(Sequence[Any], client.xrange(keys.events(edit.id))) for edit in followed]
    assert all(stream[-1][1]["e"] == "succeeded" for stream in streams)
    return [[event_id for event_id, _ in stream] for stream in streams]


def _artifacts(job_id: str) -> tuple[Artifact, ...]:
    names = {"source.png": "image", "edit-1.png": "image", "manifest.json": "manifest"}
    return tuple(
        Artifact.model_validate(
            {
                "name": name,
                "kind": kind,
                "key": artifact_key(job_id, "execution", name),
                "content_type": "image/png" if kind == "image" else "application/json",
                "bytes": 100_000,
            }
        )
        for name, kind in names.items()
    )


def run(client: redis.Redis, job_ids: Sequence[str], steps: int, spread: float) -> None:
    """Begin the jobs one after the other over so many seconds, and take each through its steps to its end."""
    store = RedisJobStore(client)
    began = time.monotonic()
    plan = sorted(
        (spread * index / len(job_ids) + STEP * step, step, job_id)
        for index, job_id in enumerate(job_ids)
        for step in range(steps + 1)
    )
    running = {}
    for at, step, job_id in plan:
        time.sleep(max(0.0, began + at - time.monotonic()))
        if step == 0:
            running[job_id] = store.make(moves.begin(store.get(job_id), "execution", timedelta(hours=1)))
            continue
        job = store.make(moves.report(running[job_id], JobProgress(step=step, steps=steps)))
        if step == steps:
            store.make(moves.finish(job, _artifacts(job_id)))


if __name__ == "__main__":
    file, steps, spread = sys.argv[1:]
    with redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True, client_name=NAME) as connected:
        run(connected, json.loads(Path(file).read_text()), int(steps), float(spread))

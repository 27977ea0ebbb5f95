"""Scripts of the version before and of this one change the same deep queue of several keys, and lose no job."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from jobs import moves
from jobs.model import Job, JobStatus
from jobs.redis import keys
from jobs.redis.message import job_of, list_of
from jobs.redis.queue import RqJobQueue
from jobs.redis.store import RedisJobStore
from jobs.redis.upkeep import Upkeep
from jobs.testing import MemoryStorage
from reaper.__main__ import Reaper
from tests.integration.test_deep_queue import LEASE, MODEL, WEIGHTS, Line, small  # noqa: F401
from tests.older import older_tree

#: As both versions read it.
EDIT = {
    "model": MODEL,
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    "sampling": {"steps": 1, "height": 64, "width": 64},
}
#: What the version before does: posts jobs of each key, begins some and ends them, cancels one, gives one back.
DOINGS = """
import json, sys
from datetime import timedelta
from uuid import uuid4
import redis
from jobs import moves
from jobs.admission import Admission, Limits
from jobs.model import new_job
from jobs.redis.calls import admission_answer, admission_call
from jobs.redis.lua import lua
from jobs.redis.message import job_of, list_of
from jobs.redis.store import RedisJobStore
from p2p.spec import EditSpec

url, spec, weights, number = sys.argv[1], EditSpec.model_validate_json(sys.argv[2]), json.loads(sys.argv[3]), 8
client = redis.Redis.from_url(url, decode_responses=True)
store, admit, ids, ended = RedisJobStore(client), client.register_script(lua("admit")), [], []
for _ in range(number):
    for owner, weight in weights.items():
        job = new_job(spec, lifetime=timedelta(hours=1), owner=owner)
        admission = Admission(jobs=[job], limits=Limits(weight=weight))
        admission_answer(admission, admit(*admission_call(admission)))
        ids.append(job.id)
def begin():
    job_id = job_of(client.lpop(list_of(spec.model)))
    return store.make(moves.begin(store.get(job_id), uuid4().hex, timedelta(minutes=10)))
for _ in range(3):
    ended.append(store.make(moves.finish(begin(), ())).id)
store.make(moves.hand_back(begin()))
canceled = store.make(moves.cancel(store.get(ids[-1])))
print(json.dumps({"posted": ids, "ended": ended + [canceled.id]}))
"""


@pytest.fixture(scope="module")
def older(tmp_path_factory) -> Path:
    return older_tree(tmp_path_factory.mktemp("older"))


def by_the_older(older: Path, redis_url: str) -> dict[str, list[str]]:
    command = [sys.executable, "-c", DOINGS, redis_url, json.dumps(EDIT), json.dumps(WEIGHTS)]
    return json.loads(subprocess.run(command, cwd=older, check=True, capture_output=True, text=True).stdout)


def begun(line: Line, job_id: str) -> Job:
    return line.store.make(moves.begin(line.store.get(job_id), uuid4().hex, LEASE))


def test_no_job_is_lost_where_both_versions_change_a_deep_queue(redis_client, redis_url, older, small):  # noqa: F811
    redis_client.flushdb()
    line, posted, ended = Line(redis_client), list[str](), list[str]()
    for _ in range(2):
        posted += [line.post(owner).id for _ in range(6) for owner in WEIGHTS]
        said = by_the_older(older, redis_url)
        posted, ended = posted + said["posted"], ended + said["ended"]
        taken = [begun(line, job_of(redis_client.lpop(list_of(MODEL)))) for _ in range(3)]
        ended += [line.store.make(moves.finish(job, ())).id for job in taken[:2]]
        line.store.make(moves.hand_back(taken[2]))
    reaper = Reaper(
        Upkeep(redis_client), RedisJobStore(redis_client), RqJobQueue(redis.Redis.from_url(redis_url)), MemoryStorage(),
        max_attempts=2,
    )  # fmt: skip

    while redis_client.zcard(keys.order(MODEL)):
        reaper.sweep()
        while (message := redis_client.lpop(list_of(MODEL))) is not None:
            job = line.store.get(job_of(message))
            if job.status is JobStatus.QUEUED:
                ended.append(line.store.make(moves.finish(begun(line, job.id), ())).id)

    assert sorted(ended) == sorted(posted)
    assert all(line.store.get(job_id).status.is_terminal for job_id in posted)
    assert (line.listed(), line.deep()) == ([], [])

"""Three reapers and three outboxes around one Redis: what one does, the others do not do again."""

import re
import signal
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
import redis

from jobs.redis import keys
from jobs.redis.message import hash_of, list_of
from stack.redis_server import redis_server
from tests.installation import Installation
from tests.patience import ANSWER, eventually
from tests.receiver import Receiver, receiving
from tests.steady_load import SteadyLoad, edit, told, verdict

SENT_AGAIN = re.compile(r"job (\w+): its message was lost and was sent again")
#: A reaper sends a message again that two of its sweeps have missed; three of each reaper have passed then.
SWEEPS = 3


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def redis_url(tmp_path) -> Iterator[str]:
    with redis_server(tmp_path) as url:
        yield url


@pytest.fixture
def installation(tiny_models, redis_url, s3_url, tmp_path) -> Iterator[Installation]:
    """An API, three reapers, three outboxes, and no worker yet."""
    settings = {
        "REDIS_URL": redis_url,
        "STORAGE_URL": f"{s3_url}/{tmp_path.name}",
        "MODELS_FILE": str(tiny_models),
        "OMP_NUM_THREADS": "1",
        "SWEEP_INTERVAL": "0.5",
        "WEBHOOK_PRIVATE": "1",
    }
    with Installation(tmp_path, settings) as installation:
        for kind in ("api", *("reaper", "outbox") * 3):
            installation.start(kind)
        yield installation


def post(installation: Installation, receiver: Receiver) -> str:
    url = installation.of("api")[0].url
    answer = httpx.post(f"{url}/v1/edits", json=edit(receiver.url), timeout=ANSWER)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def sent_again(installation: Installation) -> Counter[str]:
    """How often each job's message was sent again, by the logs of all reapers."""
    return Counter(name for reaper in installation.of("reaper") for name in SENT_AGAIN.findall(reaper.log.read_text()))


def swept(installation: Installation) -> list[float]:
    return [reaper.metric("p2p_reaper_sweeps_total") for reaper in installation.of("reaper")]


def test_a_lost_message_is_sent_again_by_one_of_three_reapers(installation, redis_client, receiver, redis_url):
    posted = [post(installation, receiver) for _ in range(12)]
    lost = posted[::2]
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        for job_id in lost:
            message = client.hget(keys.record(job_id), "message").strip('"')
            assert client.lrem(list_of("tiny"), 0, message) == 1
            client.delete(hash_of(message))
        before = swept(installation)
        assert eventually(
            lambda: all(now >= then + 2 * SWEEPS for now, then in zip(swept(installation), before, strict=True))
        )

        assert sent_again(installation) == dict.fromkeys(lost, 1)
        assert client.llen(list_of("tiny")) == len(posted)


def test_reapers_outboxes_and_workers_that_are_killed_lose_no_edit(installation, receiver, redis_url):
    for _ in range(2):
        installation.start("worker")
    with SteadyLoad(lambda: [installation.of("api")[0].url], receiver) as load:
        load.goes_on()
        for kind in ("reaper", "outbox", "worker", "outbox", "reaper", "worker"):
            installation.end(installation.of(kind)[0], signal.SIGKILL)
            load.goes_on()
            installation.start(kind)
    assert load.settled()
    api = installation.of("api")[0].url

    assert verdict(load, api, redis_url) == {"lost": 0, "ended_twice": 0, "told_otherwise": 0}
    assert all(len(edits) == 1 for edits in told(receiver).values())

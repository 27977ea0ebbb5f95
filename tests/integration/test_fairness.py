"""One key's flood does not keep another key's request waiting: a real API, a real Redis, two keys.

Every test is about an order: the other key is answered while most of the flood still waits.
"""

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import pytest
import redis
from PIL import Image

from process.turns import MOST_WAITING
from service.api_keys import KEYS, KeyRing
from tests.api_process import api_process, sent
from tests.patience import ANSWER, eventually

STREAMS = 8
EDIT = {
    "model": "tiny",
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
}


@pytest.fixture(scope="module")
def served(redis_url, tiny_models, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """An API process without workers, and a client for each of two keys."""
    started = api_process(tmp_path_factory.mktemp("fairness"), redis_url, tiny_models, STREAMS_PER_KEY=STREAMS)
    with redis.Redis.from_url(redis_url, decode_responses=True) as database, started as api:
        tokens = [KeyRing(database).create(name)[1] for name in ("flood", "other")]
        clients = [
            httpx.Client(
                base_url=api.url,
                headers={"Authorization": f"Bearer {token}"},
                timeout=ANSWER,
                transport=httpx.HTTPTransport(limits=httpx.Limits(max_connections=200)),
            )
            for token in tokens
        ]
        with clients[0], clients[1]:
            yield SimpleNamespace(flood=clients[0], other=clients[1])
        database.delete(KEYS)


def picture(side: int) -> bytes:
    """A picture that takes as long to read as it has pixels."""
    file = io.BytesIO()
    Image.effect_noise((side, side), 40).convert("RGB").save(file, "PNG", compress_level=1)
    return file.getvalue()


def left_of_flood(
    flood: Callable[[], httpx.Response], other: Callable[[], httpx.Response], number: int
) -> tuple[int, httpx.Response, list[httpx.Response]]:
    """How many of a flood's requests were not answered when the other one was; and the answers."""
    with ThreadPoolExecutor(number) as threads:
        asked: list[Future] = [threads.submit(flood) for _ in range(number)]
        # The flood is there: its first request has been answered.
        assert eventually(lambda: any(each.done() for each in asked))
        answer = other()
        left = sum(not each.done() for each in asked)
        return left, answer, [each.result() for each in asked]


def test_pictures_of_one_key_keep_nobody_elses_waiting(served):
    heavy, light = picture(700), picture(8)
    left, answer, flood = left_of_flood(lambda: sent(served.flood, heavy), lambda: sent(served.other, light), 8)

    assert answer.status_code == 201
    assert {each.status_code for each in flood} == {201}
    assert left >= 3


def large_alignment(letter: str) -> dict:
    """Names enough to look for to keep a thread busy."""
    prompt = f"{letter} " * 20
    names = [{"word": f"{letter} " * (1 + number % 10), "occurrence": 1 + number // 10} for number in range(50)]
    return {"model": "tiny", "source": {"prompt": prompt}, "targets": [{"prompt": prompt, "names": names}] * 20}


def aligned(client: httpx.Client, letter: str) -> httpx.Response:
    body = json.dumps(large_alignment(letter))
    return client.post("/v1/alignments", content=body, headers={"Content-Type": "application/json"})


def test_alignments_of_one_key_keep_nobody_elses_waiting(served):
    left, answer, flood = left_of_flood(lambda: aligned(served.flood, "a"), lambda: aligned(served.other, "b"), 24)

    assert answer.status_code == 200
    assert {each.status_code for each in flood} == {200}
    assert left >= 8


LIST = "/v1/edits?limit=100"


@pytest.fixture(scope="module")
def listed(served) -> None:
    """The flood has a page full of edits, and the other key has one."""
    for _ in range(100):
        served.flood.post("/v1/edits", json=EDIT).raise_for_status()
    served.other.post("/v1/edits", json=EDIT).raise_for_status()


def test_a_key_that_asks_for_more_lists_at_once_than_may_wait_is_told_to_wait_and_another_is_answered(served, listed):
    number = 8 * MOST_WAITING
    with ThreadPoolExecutor(number) as threads:
        answered = [threads.submit(served.flood.get, LIST) for _ in range(number)]
        assert served.other.get("/v1/edits").status_code == 200
    refused = [each.result() for each in answered if each.result().status_code != 200]

    assert {each.status_code for each in refused} == {429}
    assert {each.json()["code"] for each in refused} == {"too_many_at_once"}


def test_a_key_that_asks_for_more_at_once_than_may_wait_is_told_to_wait(served):
    number = 2 * MOST_WAITING
    with ThreadPoolExecutor(number) as threads:
        answered = list(threads.map(lambda _: aligned(served.flood, "a"), range(number)))
    refused = [each for each in answered if each.status_code == 429]

    assert {each.status_code for each in answered} == {200, 429}
    assert {each.json()["code"] for each in refused} == {"too_many_at_once"}
    assert all(int(each.headers["Retry-After"]) >= 1 for each in refused)


def test_waits_of_one_key_keep_nobody_elses_waiting(served):
    """The flood has all the waits that it may have, and the other key's wait ends when its edit does."""
    waited = served.flood.post("/v1/edits", json=EDIT).raise_for_status().headers["Location"]
    own = served.other.post("/v1/edits", json=EDIT).raise_for_status().headers["Location"]
    with ThreadPoolExecutor(STREAMS + 2) as threads:
        flood = [threads.submit(served.flood.get, waited, params={"wait": 60}) for _ in range(STREAMS)]

        # A wait of our own that came between them would take the place of one of them.
        assert eventually(lambda: f"p2p_followers {STREAMS:.1f}" in served.other.get("/metrics").text)
        assert served.flood.get(waited, params={"wait": 1}).status_code == 429
        other = threads.submit(served.other.get, own, params={"wait": 60})
        served.other.post(f"{own}/cancel").raise_for_status()
        assert other.result().json()["status"] == "canceled"
        assert not any(each.done() for each in flood)
        served.flood.post(f"{waited}/cancel").raise_for_status()
        assert {each.result().json()["status"] for each in flood} == {"canceled"}

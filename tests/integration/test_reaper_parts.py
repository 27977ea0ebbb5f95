"""The reaper reads long queues in parts, and finds every message that got lost."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
import redis

from jobs import moves
from jobs.model import new_job
from jobs.redis import keys
from jobs.redis.message import list_of
from jobs.redis.queue import RqJobQueue
from jobs.redis.store import RedisJobStore
from jobs.redis.upkeep import Upkeep
from jobs.testing import MemoryStorage
from reaper.__main__ import Reaper
from tests.edits import CAT_TO_DOG

MODEL = CAT_TO_DOG.model
FRONT, PART = 3, 5
NUMBER = 23


@pytest.fixture
def plane(redis_client, redis_url, monkeypatch):
    """Twenty-three jobs that wait, of three keys, and a reaper that looks at three of them and at five."""
    redis_client.flushdb()
    monkeypatch.setattr("reaper.__main__.FRONT", FRONT)
    monkeypatch.setattr("reaper.__main__.PART", PART)
    monkeypatch.setattr("jobs.redis.upkeep.SLACK", 2)
    store = RedisJobStore(redis_client)
    for number in range(NUMBER):
        store.create(new_job(CAT_TO_DOG, lifetime=timedelta(hours=1), owner=f"key-{number % 3}"))
    queue = RqJobQueue(redis.Redis.from_url(redis_url))
    reaper = Reaper(Upkeep(redis_client), store, queue, MemoryStorage(), max_attempts=2)
    return SimpleNamespace(store=store, queue=queue, reaper=reaper, client=redis_client)


def messages(plane) -> list[str]:
    return plane.client.lrange(list_of(MODEL), 0, -1)


def jobs_of(found: list[str]) -> list[str]:
    return [message.rpartition("-")[0] for message in found]


def sweeps(plane, most: int) -> int:
    """How many sweeps it takes until all messages are there."""
    for number in range(1, most + 1):
        plane.reaper.sweep()
        if len(messages(plane)) == NUMBER:
            return number
    raise AssertionError(f"{len(messages(plane))} of {NUMBER} messages after {most} sweeps")


@pytest.mark.parametrize("place", range(NUMBER))
def test_a_message_that_was_lost_anywhere_is_sent_again_at_its_place(plane, place):
    before = messages(plane)
    plane.client.lrem(list_of(MODEL), 1, before[place])

    # The front is looked at each time; all of the rest is by its fourth part, and one sweep more sends.
    assert sweeps(plane, 6) <= (2 if place < FRONT else 6)

    assert jobs_of(messages(plane)) == jobs_of(before)


def test_every_message_of_a_queue_that_was_removed_is_sent_again(plane):
    before = messages(plane)
    plane.client.delete(list_of(MODEL))

    sweeps(plane, 8)

    assert jobs_of(messages(plane)) == jobs_of(before)


def test_what_is_no_jobs_message_hides_none_that_is_lost(plane):
    before = messages(plane)
    plane.client.lrem(list_of(MODEL), 1, before[14])
    plane.client.lpush(list_of(MODEL), *(f"foreign-{number}" for number in range(9)))

    for _ in range(8):
        plane.reaper.sweep()

    assert jobs_of(messages(plane))[9:] == jobs_of(before)


def test_messages_that_stand_elsewhere_than_their_order_says_are_not_sent_again(plane):
    before = messages(plane)
    plane.client.delete(list_of(MODEL))
    plane.client.rpush(list_of(MODEL), *reversed(before))

    for _ in range(8):
        plane.reaper.sweep()

    assert messages(plane) == before[::-1]


def test_jobs_that_lost_their_places_in_the_order_are_sent_again(plane):
    before = messages(plane)
    plane.client.zrem(keys.order(MODEL), before[17])
    plane.client.lrem(list_of(MODEL), 1, before[17])

    assert sweeps(plane, 2) == 2

    assert sorted(jobs_of(messages(plane))) == sorted(jobs_of(before))


def test_the_whole_list_is_not_read(plane, monkeypatch):
    plane.reaper.sweep()
    plane.client.config_resetstat()
    asked: list[tuple] = []
    monkeypatch.setattr(plane.client, "zrange", lambda *each: asked.append(each))
    monkeypatch.setattr(plane.client, "lrange", lambda *each: asked.append(each))

    plane.reaper.sweep()

    assert asked == []


def test_a_place_in_the_order_whose_record_is_gone_is_forgotten(plane):
    (first, *_) = messages(plane)
    plane.client.lrem(list_of(MODEL), 1, first)
    plane.client.delete(keys.record(jobs_of([first])[0]))

    plane.reaper.sweep()
    plane.reaper.sweep()

    assert plane.client.zscore(keys.order(MODEL), first) is None
    assert plane.client.zcard(keys.waiting(MODEL)) == NUMBER - 1


def test_jobs_that_are_begun_while_parts_are_looked_at_hide_none_that_is_lost(plane):
    """Begun jobs leave the order, and what stands behind them moves up."""
    before = messages(plane)
    lost = before[20]
    plane.client.lrem(list_of(MODEL), 1, lost)
    for place in range(6):
        plane.reaper.sweep()
        message = plane.client.lpop(list_of(MODEL))
        plane.store.make(moves.begin(plane.store.get(jobs_of([message])[0]), f"e{place}", timedelta(hours=1)))

    assert jobs_of([lost])[0] in jobs_of(messages(plane))

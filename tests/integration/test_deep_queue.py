"""A message that belongs far behind is put into the queue once it is among the first, and goes when its turn comes."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import moves
from jobs.admission import Admission, Limits
from jobs.model import HEAD_START, Job, new_job
from jobs.redis import keys
from jobs.redis.calls import admission_answer, admission_call
from jobs.redis.lua import lua
from jobs.redis.message import job_of, list_of
from jobs.redis.queue import RqJobQueue
from jobs.redis.store import RedisJobStore
from jobs.redis.upkeep import Upkeep
from jobs.testing import MemoryStorage
from reaper.__main__ import Reaper
from tests.edits import CAT_TO_DOG

MODEL = CAT_TO_DOG.model
LEASE = timedelta(minutes=10)
#: Large enough to be no tie.
SPEC = CAT_TO_DOG.model_copy(
    update={"sampling": CAT_TO_DOG.sampling.model_copy(update={"steps": 1, "height": 64, "width": 64})}
)
WEIGHTS = {"a": 1.0, "b": 2.0, "c": 0.25}


@pytest.fixture
def small(monkeypatch):
    """Queues are long from the fourth message on."""

    whole = lua

    def text(name: str) -> str:
        return whole(name).replace("DEEP = 500", "DEEP = 4").replace("LAST = 8", "LAST = 1")

    assert text("move") != whole("move")
    for module in ("store", "queue", "upkeep"):
        monkeypatch.setattr(f"jobs.redis.{module}.lua", text)
    monkeypatch.setitem(globals(), "lua", text)


@pytest.fixture
def line(redis_client, redis_url, small) -> "Line":
    redis_client.flushdb()
    return Line(redis_client, redis.Redis.from_url(redis_url))


class Line:
    """The queue of a model, as keys and workers use it."""

    def __init__(self, client, messages=None) -> None:
        self.client, self.messages, self.store = client, messages, RedisJobStore(client)
        self._admit = client.register_script(lua("admit"))

    def post(self, owner: str, **about) -> Job:
        job = new_job(SPEC, lifetime=timedelta(hours=1), owner=owner, **about)
        admission = Admission(jobs=[job], limits=Limits(weight=WEIGHTS[owner]))
        admission_answer(admission, self._admit(*admission_call(admission)))
        return job

    def listed(self) -> list[str]:
        return [job_of(message) for message in self.client.lrange(list_of(MODEL), 0, -1)]

    def ordered(self) -> list[str]:
        return [job_of(message) for message in self.client.zrange(keys.order(MODEL), 0, -1)]

    def deep(self) -> list[str]:
        return [job_of(message) for message in self.client.zrange(keys.deep(MODEL), 0, -1)]

    def take(self) -> Job:
        """A worker begins the next job."""
        job_id = job_of(self.client.lpop(list_of(MODEL)))
        return self.store.make(moves.begin(self.store.get(job_id), f"execution of {job_id}", LEASE))


def uneven(line: Line, number: int = 12) -> None:
    """So many jobs of a key, then as many of one with a larger share, which belong between them."""
    for owner in ("a", "b"):
        for _ in range(number):
            line.post(owner)


def test_a_message_that_belongs_between_others_far_behind_waits_beside_the_list(line):
    uneven(line)

    assert line.deep()
    assert not set(line.deep()) & set(line.listed())
    assert sorted(line.deep() + line.listed()) == sorted(line.ordered())
    assert line.listed() == [job_id for job_id in line.ordered() if job_id not in line.deep()]


def test_jobs_go_in_the_order_all_the_same(line):
    uneven(line)
    expected = line.ordered()

    assert [line.take().id for _ in expected] == expected
    assert (line.listed(), line.deep()) == ([], [])


def test_a_job_that_is_canceled_far_behind_leaves_nothing(line):
    uneven(line)
    deep = line.store.get(line.deep()[-1])

    line.store.make(moves.cancel(deep))

    assert deep.id not in line.deep() + line.listed() + line.ordered()
    assert not line.client.exists(f"rq:job:{deep.message}")


def test_a_reaper_takes_none_of_them_for_lost(line, monkeypatch):
    monkeypatch.setattr("jobs.redis.upkeep.SLACK", 0)
    monkeypatch.setattr("reaper.__main__.FRONT", 3)
    monkeypatch.setattr("reaper.__main__.PART", 5)
    uneven(line)
    before = sorted(line.client.zrange(keys.order(MODEL), 0, -1))
    reaper = Reaper(Upkeep(line.client), line.store, RqJobQueue(line.messages), MemoryStorage(), max_attempts=2)

    for _ in range(12):
        reaper.sweep()

    assert sorted(line.client.zrange(keys.order(MODEL), 0, -1)) == before
    assert sorted(line.deep() + line.listed()) == sorted(line.ordered())


def test_a_reaper_sends_again_what_was_lost_beside_them(line, monkeypatch):
    monkeypatch.setattr("jobs.redis.upkeep.SLACK", 0)
    monkeypatch.setattr("reaper.__main__.FRONT", 3)
    monkeypatch.setattr("reaper.__main__.PART", 5)
    uneven(line)
    expected = line.ordered()
    lost = [line.listed()[0], line.listed()[-2]]
    for job_id in lost:
        line.client.lrem(list_of(MODEL), 1, line.store.get(job_id).message)
    reaper = Reaper(Upkeep(line.client), line.store, RqJobQueue(line.messages), MemoryStorage(), max_attempts=2)

    for _ in range(12):
        reaper.sweep()

    assert [line.take().id for _ in expected] == expected


def test_a_list_that_workers_emptied_is_filled_by_the_reaper(line):
    uneven(line)
    line.client.delete(list_of(MODEL))
    reaper = Reaper(Upkeep(line.client), line.store, RqJobQueue(line.messages), MemoryStorage(), max_attempts=2)

    for _ in range(12):
        reaper.sweep()

    assert sorted(line.listed() + line.deep()) == sorted(line.ordered())
    assert line.listed()[0] == line.ordered()[0]


def test_the_list_stays_short(line):
    """So that nothing that is done to it takes longer in a longer queue."""
    for owner in ("a", "b", "c"):
        for _ in range(12):
            line.post(owner)
            assert len(line.listed()) <= 8
    line.post("b", priority="high")
    line.store.make(moves.cancel(line.store.get(line.ordered()[1])))

    assert len(line.listed()) <= 8
    assert len(line.deep()) >= len(line.ordered()) - 8


POST = st.tuples(st.just("post"), st.sampled_from(sorted(WEIGHTS)), st.sampled_from([*HEAD_START, "normal", "normal"]))
OTHER = st.tuples(st.sampled_from(["take", "take", "cancel", "hand back"]), st.integers(0, 100))


def work_of(line: Line, do: Callable[[], object]) -> int:
    """How many words of commands Redis carries out meanwhile, those of scripts included."""
    with line.client.monitor() as monitor:
        do()
        line.client.echo("that is all")
        said = iter(lambda: monitor.next_command()["command"], "ECHO that is all")
        return sum(len(command.split()) for command in said)


def test_an_admission_gives_redis_no_more_to_do_in_a_longer_queue(line):
    """Whether it goes behind all others, or between them, or takes others down from the list."""
    most = []
    for number in (12, 48):
        uneven(line, number)
        most.append(max(work_of(line, lambda owner=owner: line.post(owner)) for owner in "abcabcabc"))

    assert line.deep()
    short, long = most
    assert long <= short


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(POST, POST, POST, OTHER), min_size=20, max_size=60))
def test_what_a_worker_takes_is_always_the_first_of_the_order(redis_client, small, doings):
    redis_client.flushdb()
    line, running = Line(redis_client), list[Job]()
    for what, *which in doings:
        waiting = line.ordered()
        if what == "post":
            line.post(which[0], priority=which[1])
        elif what == "take" and waiting:
            running.append(line.take())
            assert running[-1].id == waiting[0]
        elif what == "cancel" and waiting:
            line.store.make(moves.cancel(line.store.get(waiting[which[0] % len(waiting)])))
        elif what == "hand back" and running:
            line.store.make(moves.hand_back(running.pop(which[0] % len(running))))
        assert sorted(line.listed() + line.deep()) == sorted(line.ordered())
    expected = line.ordered()
    assert [line.take().id for _ in expected] == expected

"""Whose edit goes next where several keys wait for one model: on a real Redis, held to a plain model of the method."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import moves
from jobs.admission import Admission, Limits
from jobs.fairness import work_of
from jobs.model import HEAD_START, Job, new_job
from jobs.redis import keys
from jobs.redis.calls import admission_answer, admission_call
from jobs.redis.lua import lua
from jobs.redis.message import job_of, list_of
from jobs.redis.queue import RqJobQueue
from jobs.redis.store import RedisJobStore
from tests.edits import CAT_TO_DOG

MODEL = CAT_TO_DOG.model
LEASE = timedelta(minutes=10)
#: What equal tags are apart by at most, so that they go as they came. A job of 64 x 64 pixels adds 100 times as much.
TIE = 128
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def line(redis_client) -> "Waiting":
    """An empty queue."""
    redis_client.flushdb()
    return Waiting(redis_client)


class Waiting:
    """The queue of a model, as keys and workers use it."""

    def __init__(self, client) -> None:
        self.client, self.store = client, RedisJobStore(client)
        self._admit = client.register_script(lua("admit"))

    def post(self, owner: str, *, weight: float = 1, steps: int = 1, at: float = 0, **about) -> Job:
        size = {"steps": steps, "height": 64, "width": 64, "guidance_scale": 1.0}
        spec = CAT_TO_DOG.model_copy(update={"sampling": CAT_TO_DOG.sampling.model_copy(update=size)})
        made = new_job(spec, lifetime=timedelta(hours=1), owner=owner, **about)
        job = made.model_copy(update={"created_at": BEGAN + timedelta(seconds=at)})
        admission = Admission(jobs=[job], limits=Limits(weight=weight))
        admission_answer(admission, self._admit(*admission_call(admission)))
        return job

    def ids(self) -> list[str]:
        return [job_of(message) for message in self.client.lrange(list_of(MODEL), 0, -1)]

    def take(self) -> Job:
        """A worker begins the next job."""
        job_id = job_of(self.client.lpop(list_of(MODEL)))
        return self.store.make(moves.begin(self.store.get(job_id), f"execution of {job_id}", LEASE))

    def take_all(self) -> Iterator[str]:
        """The owners of all that wait, as a worker that does one after the other takes them."""
        while self.ids():
            job = self.take()
            self.store.make(moves.finish(job, ()))
            yield job.owner


def test_a_second_keys_first_job_does_not_wait_for_five_hundred_of_the_first(line):
    for second in range(500):
        line.post("first", at=second)
    for _ in range(2):
        line.take()

    job = line.post("second", at=600)

    assert line.ids().index(job.id) <= 1


def test_keys_take_turns(line):
    for key in ("first", "second"):
        for _ in range(4):
            line.post(key)

    assert list(line.take_all()) == ["first", "second"] * 4


def test_a_key_that_posts_larger_jobs_has_fewer_of_them_done(line):
    for key, steps in (("large", 3), ("small", 1)):
        for _ in range(6):
            line.post(key, steps=steps)

    assert sorted(list(line.take_all())[:8]) == ["large"] * 2 + ["small"] * 6


def test_a_key_of_twice_the_weight_has_twice_as_many_done(line):
    for key, weight in (("heavy", 2), ("light", 1)):
        for _ in range(6):
            line.post(key, weight=weight)

    assert sorted(list(line.take_all())[:9]) == ["heavy"] * 6 + ["light"] * 3


def test_jobs_of_as_many_keys_go_as_they_came(line):
    jobs = [line.post(f"key {number}") for number in range(20)]

    assert line.ids() == [job.id for job in jobs]


def test_priority_moves_a_job_before_its_own_keys_and_costs_others_nothing(line):
    mine = [line.post("mine", at=second) for second in range(3)]
    others = [line.post("other", at=second) for second in range(3)]

    urgent = line.post("mine", at=3, priority="high")

    assert [job for job in line.ids() if job in {each.id for each in [urgent, *mine]}] == [
        urgent.id,
        *(each.id for each in mine),
    ]
    assert [line.ids().index(each.id) for each in others] == [1, 3, 5]


def test_a_key_that_was_alone_owes_nothing_once_all_is_done(line):
    for _ in range(5):
        line.post("first", steps=50)
    list(line.take_all())

    first, second = line.post("first"), line.post("second")

    assert line.ids() == [first.id, second.id]


@pytest.mark.parametrize("end", [moves.cancel, moves.expire])
def test_what_was_never_begun_is_not_charged(line, end):
    running = line.post("busy")
    line.take()
    for job in [line.post("first", steps=50) for _ in range(5)]:
        line.store.make(end(job))
    waiting = [line.post("second") for _ in range(2)]

    first = line.post("first")

    assert line.store.get(running.id).status == "running"
    assert line.ids() == [waiting[0].id, first.id, waiting[1].id]


def test_jobs_of_a_key_move_up_if_those_before_them_are_canceled(line):
    large, small = line.post("first", steps=50), line.post("first")
    others = [line.post("second") for _ in range(3)]
    assert line.ids() == [large.id, *(each.id for each in others), small.id]

    line.store.make(moves.cancel(large))

    assert line.ids() == [small.id, *(each.id for each in others)]


def test_a_job_that_is_given_back_goes_next(line):
    for key in ("first", "second"):
        for _ in range(3):
            line.post(key)
    taken = [line.take() for _ in range(3)]

    for job in reversed(taken):
        line.store.make(moves.hand_back(job))

    assert line.ids()[:3] == [job.id for job in taken]
    assert len(line.ids()) == 6


def test_a_job_that_was_begun_beside_others_and_given_back_keeps_its_place_when_those_before_it_are_canceled(line):
    one, two, three, four = (line.post("mine", at=second) for second in range(4))
    beside = line.store.make(moves.begin(line.store.get(three.id), "execution", LEASE, beside=True))
    line.store.make(moves.hand_back(beside))

    for before in (one, two):
        line.store.make(moves.cancel(line.store.get(before.id)))

    assert line.ids() == [three.id, four.id]
    assert [job_of(message) for message in line.client.zrange(keys.order(MODEL), 0, -1)] == line.ids()


def test_a_job_that_is_given_back_is_not_overtaken_by_its_own_keys_urgent_one(line):
    line.post("mine")
    taken = line.take()
    line.store.make(moves.hand_back(taken))

    urgent = line.post("mine", at=1, priority="high")

    assert line.ids() == [taken.id, urgent.id]


def test_a_lost_message_comes_back_where_it_was(line, redis_url):
    jobs = [line.post(key, at=second) for second in range(3) for key in ("first", "second")]
    before = line.ids()
    queue = RqJobQueue(line.client)
    for job in (jobs[0], jobs[3]):
        line.client.lrem(list_of(MODEL), 1, line.store.get(job.id).message)
        queue.deliver(job.id, MODEL)

    assert line.ids() == before
    assert line.client.zcard(keys.order(MODEL)) == len(jobs)


def test_a_message_that_is_put_last_goes_behind_all(line):
    jobs = [line.post(key, at=second) for second in range(2) for key in ("first", "second")]
    first = line.ids()[0]

    RqJobQueue(line.client).deliver(first, MODEL, last=True)
    then = line.post("first", at=9)

    assert line.ids()[len(jobs) - 1 :] == [first, then.id]


def test_jobs_that_the_last_version_queued_go_first_and_none_is_lost(line):
    """Its order was one of milliseconds, and its records did not say how they wait."""
    old = [line.post("old", at=second) for second in range(3)]
    line.client.delete(f"fair:{MODEL}", f"line:{MODEL}:old")
    for job in old:
        line.client.hdel(keys.record(job.id), "line")
        line.client.zadd(keys.order(MODEL), {line.store.get(job.id).message: job.turn})
    taken = line.take()
    line.client.hdel(keys.record(taken.id), "start_tag")

    new = [line.post(key) for key in ("new", "old")]
    line.store.make(moves.hand_back(taken))
    line.store.make(moves.cancel(old[1]))

    assert set(line.ids()) == {old[0].id, old[2].id, *(each.id for each in new)}
    assert line.ids()[-2:] == [each.id for each in new]


def test_what_is_no_jobs_message_stays_in_the_queue(line):
    line.client.rpush(list_of(MODEL), "foreign")
    mine = [line.post("mine", at=second) for second in range(2)]
    line.post("other")
    line.post("mine", at=2, priority="high")
    line.store.make(moves.cancel(mine[0]))

    assert "foreign" in line.client.lrange(list_of(MODEL), 0, -1)
    assert len(line.ids()) == 4


WEIGHTS = {"a": 1, "b": 2, "c": 0.5}


@dataclass
class Flow:
    """A key in the plain model: its waiting jobs by turn, and where the first of them is."""

    weight: float
    begun: float = 0.0
    base: float = 0.0
    jobs: list[Job] = field(default_factory=list)


class Model:
    """Start-time fair queueing, by its definition.

    S = max(V, F of the one before), F = S + work / weight, and V is the S of what began last. A key's jobs are in the
    order of their turns, and the first begins where the key's line began.
    """

    def __init__(self) -> None:
        self.now, self.flows = 0.0, {owner: Flow(weight) for owner, weight in WEIGHTS.items()}
        self.running: dict[str, tuple[Job, float]] = {}
        self.returned: dict[str, float] = {}

    def tags(self) -> dict[str, float]:
        """Of each waiting job its start tag."""
        found = dict(self.returned)
        for flow in self.flows.values():
            at = flow.base
            for job in flow.jobs:
                found[job.id] = at
                at += work_of(job.spec) / flow.weight
        return found

    def post(self, job: Job) -> None:
        if not (self.tags() or self.running):
            for flow in self.flows.values():
                flow.begun = 0.0
        flow = self.flows[job.owner]
        if not flow.jobs:
            flow.base = max(self.now, flow.begun)
        flow.jobs.append(job)
        flow.jobs.sort(key=lambda each: each.turn)

    def begin(self, job: Job) -> None:
        tag = self.tags()[job.id]
        flow, charge = self.flows[job.owner], work_of(job.spec) / WEIGHTS[job.owner]
        if self.returned.pop(job.id, None) is None:
            assert flow.jobs.pop(0).id == job.id  # of a key, the one whose turn it is
            flow.base = flow.begun = tag + charge
        self.now = max(self.now, tag)
        self.running[job.id] = job, tag

    def give_back(self, job_id: str) -> None:
        _, self.returned[job_id] = self.running.pop(job_id)

    def end(self, job_id: str) -> None:
        del self.running[job_id]

    def cancel(self, job: Job) -> None:
        if self.returned.pop(job.id, None) is None:
            flow = self.flows[job.owner]
            flow.jobs.remove(next(each for each in flow.jobs if each.id == job.id))


POST = st.tuples(
    st.just("post"),
    st.sampled_from(sorted(WEIGHTS)),
    st.integers(1, 4),
    st.sampled_from(sorted(HEAD_START)),
    st.sampled_from([1, 100, 300]),
)
OTHER = st.tuples(st.sampled_from(["begin", "begin", "end", "give back", "cancel"]), st.integers(0, 100))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(POST, POST, OTHER), max_size=40))
def test_the_order_is_that_of_the_plain_model(redis_client, doings):
    redis_client.flushdb()
    line, model, seconds = Waiting(redis_client), Model(), 0.0
    for what, *which in doings:
        there, running = line.ids(), sorted(model.running)
        if what == "post":
            owner, steps, priority, later = which
            seconds += later
            model.post(line.post(owner, weight=WEIGHTS[owner], steps=steps, at=seconds, priority=priority))
        elif what == "begin" and there:
            model.begin(line.take())
        elif what == "cancel" and there:
            job = line.store.get(there[which[0] % len(there)])
            line.store.make(moves.cancel(job))
            model.cancel(job)
        elif what in ("end", "give back") and running:
            job = line.store.get(running[which[0] % len(running)])
            line.store.make(moves.hand_back(job) if what == "give back" else moves.finish(job, ()))
            (model.give_back if what == "give back" else model.end)(job.id)
        tags = model.tags()
        found = [tags[job_id] for job_id in line.ids()]
        assert sorted(line.ids()) == sorted(tags)
        # Of equal tags either may go first, as in the method; here the one that came first does.
        assert all(one <= other + TIE for one, other in pairwise(found))
        # Where the virtual time began is no matter.
        apart = [
            tag - tags[job_of(message)]
            for message, tag in redis_client.zrange(keys.order(MODEL), 0, -1, withscores=True)
        ]
        assert len(apart) == len(found)
        assert max(apart, default=0) - min(apart, default=0) <= TIE

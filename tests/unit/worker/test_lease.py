"""A lease is renewed for as long as steps end in time."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
import redis

from jobs import moves
from jobs.model import JobProgress
from jobs.testing import InMemoryJobStore
from worker.lease import Leases

LENGTH = timedelta(seconds=10)


@pytest.fixture
def held(plane):
    """A lease of 10 s, with 60 s for the first step and 20 s for any other, and its clock."""
    clock = SimpleNamespace(now=0.0)
    store = InMemoryJobStore(lambda: clock.now)
    store.create(plane.job)
    job = store.make(moves.begin(plane.job, "first", LENGTH))
    said: list[str] = []
    leases = Leases(
        store,
        length=LENGTH,
        alive=lambda: said.append("alive"),
        give_up=lambda: said.append("given up"),
        clock=lambda: clock.now,
    )
    lease = leases.hold(job, first_step=timedelta(seconds=60), step=timedelta(seconds=20))
    return SimpleNamespace(lease=lease, leases=leases, clock=clock, store=store, job=job, said=said)


def until(held) -> float:
    return held.store.leases[held.job.id]


def test_each_turn_lengthens_the_lease_and_shows_the_worker_alive(held):
    held.clock.now = 3

    assert held.leases.renewed()

    assert (until(held), held.said) == (13, ["alive"])


def test_a_turn_writes_how_far_each_job_is_in_the_same_round_trip(held, monkeypatch):
    reached = JobProgress(step=3, steps=20)
    leases, calls = held.leases, []
    renew_all = held.store.renew_all
    monkeypatch.setattr(held.store, "renew_all", lambda *asked: calls.append(asked) or renew_all(*asked))
    leases.hold(
        held.job,
        first_step=timedelta(seconds=60),
        step=timedelta(seconds=20),
        report=lambda: moves.report(held.job, reached),
    )

    assert leases.renewed()

    assert held.store.get(held.job.id).progress == reached
    assert len(calls) == 1


def test_a_job_that_is_lost_is_not_written_to_by_a_turn(held):
    held.clock.now = 11
    held.store.make(moves.take_back(held.store.get(held.job.id), max_attempts=3))
    report = moves.report(held.job, JobProgress(step=3, steps=20))
    held.leases.hold(held.job, first_step=timedelta(seconds=60), step=timedelta(seconds=20), report=lambda: report)

    assert held.leases.renewed()

    assert held.store.get(held.job.id).progress is None


def test_the_first_step_may_take_longer_than_the_others(held):
    held.clock.now = 50
    held.leases.renewed()
    assert until(held) == 60

    held.lease.step_ended()
    held.clock.now = 71
    held.leases.renewed()
    assert until(held) == 60


def test_a_step_that_hangs_lets_the_lease_run_out_and_then_ends_the_process(held):
    held.lease.step_ended()
    held.clock.now = 25
    assert held.leases.renewed()
    assert (until(held), held.said) == (10, [])

    held.clock.now = 31

    assert not held.leases.renewed()
    assert held.said == ["given up"]


def test_a_step_that_ends_after_all_goes_on(held):
    held.lease.step_ended()
    held.clock.now = 25
    held.leases.renewed()
    held.lease.step_ended()

    assert held.leases.renewed()
    assert until(held) == 35


def test_what_is_no_step_leaves_the_first_one_its_time(held):
    held.lease.got_on()
    held.clock.now = 50

    held.leases.renewed()

    assert until(held) == 60


@pytest.fixture
def neighbour(held):
    """Another job's lease, at its first step."""
    job = held.store.make(moves.begin(_queued(held.store, held.job), "second", LENGTH))
    return held.leases.hold(job, first_step=timedelta(seconds=60), step=timedelta(seconds=20))


def _queued(store, job):
    other = job.model_copy(update={"id": "f" * 32, "status": "queued", "execution": None})
    store.create(other)
    return other


def test_a_job_that_waits_is_held_while_the_worker_gets_on_with_others(held, neighbour):
    held.lease.step_ended()
    held.lease.wait()
    for _ in range(10):
        held.clock.now += 15
        neighbour.got_on()
        held.leases.got_on()
        assert held.leases.renewed()

    assert held.store.leases == dict.fromkeys((held.job.id, neighbour.job.id), 160)


def test_a_job_that_waits_for_a_turn_gives_it_the_time_that_the_longest_may_take(held, neighbour):
    held.lease.step_ended()
    held.lease.wait()
    neighbour.wait()
    held.clock.now = 55
    held.leases.renewed()
    assert held.store.leases == dict.fromkeys((held.job.id, neighbour.job.id), 65)

    held.clock.now = 61
    held.leases.renewed()
    assert held.store.leases == dict.fromkeys((held.job.id, neighbour.job.id), 65)


def test_a_worker_that_gets_on_with_nothing_is_ended_though_all_its_jobs_wait(held, neighbour):
    held.lease.wait()
    neighbour.wait()
    held.clock.now = 71

    assert not held.leases.renewed()
    assert held.said == ["given up"]


def test_the_time_of_a_job_that_waited_begins_anew_with_its_turn(held):
    held.lease.step_ended()
    held.lease.wait()
    held.clock.now = 100
    held.lease.got_on()
    held.clock.now = 119
    held.leases.renewed()
    assert until(held) == 129

    held.clock.now = 131
    assert not held.leases.renewed()


def test_a_job_that_is_lost_is_not_renewed(held):
    held.clock.now = 11
    held.store.make(moves.take_back(held.job, max_attempts=3))

    held.leases.renewed()
    held.clock.now = 12
    held.leases.renewed()

    assert held.job.id not in held.store.leases


def test_a_redis_that_does_not_answer_is_asked_again(held, monkeypatch):
    def fail(*_):
        raise redis.ConnectionError

    monkeypatch.setattr(held.store, "renew_all", fail)

    assert held.leases.renewed()


def test_its_thread_ends_with_the_jobs(held):
    with held.leases as leases:
        assert leases._thread.is_alive()

    assert not leases._thread.is_alive()

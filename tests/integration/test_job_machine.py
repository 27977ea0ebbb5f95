"""Jobs under everything that can happen to them, in any order, on the real store: none is lost, none ends twice.

Workers here are publishers without a sampler. A crashed one is never heard of again; a paused one has lost its lease
and goes on as if nothing had happened.
"""

import asyncio
from datetime import timedelta

import pytest
import redis
import redis.asyncio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs import moves
from jobs.admission import Admission
from jobs.batches import gathered
from jobs.errors import IllegalTransition, JobNotFound, StillActive
from jobs.model import JobStatus, execution_prefix, new_job
from jobs.redis import keys
from jobs.redis.message import job_of, queue_name
from jobs.redis.queue import RqJobQueue
from jobs.redis.store import AsyncRedisJobStore, RedisJobStore
from jobs.redis.upkeep import Upkeep
from jobs.testing import InMemoryKeptSources, MemoryStorage
from reaper.__main__ import Reaper
from service.edits.submit import CANCELING
from tests.edits import CAT_TO_DOG
from worker.events import ArtifactReady, Canceled, Event, Failed, Finished, HandedBack, Progress, Started
from worker.publishing import Publisher

PICTURE = ArtifactReady(name="source.png", kind="image", content_type="image/png", data=b"a picture", picture=0)
QUEUE = f"rq:queue:{queue_name(CAT_TO_DOG.model)}"
CHOICE = st.integers(0, 10**6)
WORKER_DOES = {
    "step": Progress(step=1, steps=2),
    "store": PICTURE,
    "publish": Finished(),
    "fail": Failed(code="x", message="y"),
    "hand back": HandedBack(),
}


class JobMachine(RuleBasedStateMachine):
    """A plane with any number of workers, and what a client was told of its jobs."""

    def __init__(self, client: redis.Redis, url: str) -> None:
        super().__init__()
        client.flushdb()
        self.client, self.url = client, url
        self.store, self.storage, self.sources = RedisJobStore(client), MemoryStorage(), InMemoryKeptSources()
        self.queue = RqJobQueue(redis.Redis.from_url(url))
        self.reaper = Reaper(Upkeep(client), self.store, self.queue, self.storage, max_attempts=3)
        self.accepted: list[str] = []
        self.batches: dict[str, list[str]] = {}
        self.erased: set[str] = set()
        self.ends: dict[str, JobStatus] = {}
        self.workers: list[Publisher] = []

    @initialize(stores=st.booleans())
    def two_jobs_run(self, stores: bool) -> None:
        """Else most runs would be over before anything can go wrong."""
        for _ in range(2):
            self.submit()
            self.take()
            if stores:
                self.goes_on(self.workers[-1], PICTURE)

    # Few jobs, so that much happens to each.
    @precondition(lambda self: len(self.accepted) < 6)
    @rule()
    def submit(self) -> None:
        job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
        self.store.create(job)
        self.accepted.append(job.id)

    @precondition(lambda self: len(self.accepted) < 5)
    @rule()
    def submit_two_as_a_batch(self) -> None:
        batch, jobs = gathered([new_job(CAT_TO_DOG, lifetime=timedelta(hours=1)) for _ in range(2)])

        async def admitted() -> None:
            async with redis.asyncio.Redis.from_url(self.url, decode_responses=True) as client:
                await AsyncRedisJobStore(client).admit(Admission(jobs=jobs, batch=batch))

        asyncio.run(admitted())
        self.batches[batch.id] = list(batch.edits)
        self.accepted += batch.edits

    @rule()
    def is_killed_when_it_has_taken_a_message(self) -> None:
        """A worker leaves its message where nobody looks."""
        self.client.rpop(QUEUE)

    @rule()
    def take(self) -> None:
        """A worker takes the next message."""
        message = self.client.rpop(QUEUE)
        if message is None:
            return
        try:
            job = self.store.get(job_of(message))
        except JobNotFound:
            return
        publisher = Publisher(job, self.store, self.storage, self.sources)
        self.workers.append(publisher)
        self.goes_on(publisher, Started())

    @precondition(lambda self: self.workers)
    @rule(which=CHOICE, what=st.sampled_from(["step", "store", "store", "publish", "publish", "fail", "hand back"]))
    def work(self, which: int, what: str) -> None:
        publisher = self.workers[which % len(self.workers)]
        self.goes_on(publisher, WORKER_DOES[what])

    @precondition(lambda self: self.workers)
    @rule(which=CHOICE)
    def look(self, which: int) -> None:
        """A worker looks whether its job is still wanted."""
        publisher = self.workers[which % len(self.workers)]
        try:
            if self.store.watch(publisher.job.id).cancel_requested:
                self.goes_on(publisher, Canceled())
        except JobNotFound:
            self.loses(publisher)

    @precondition(lambda self: self.workers)
    @rule(which=CHOICE, crashes=st.booleans(), is_noticed=st.booleans())
    def lapse(self, which: int, crashes: bool, is_noticed: bool) -> None:
        """A worker is killed, or stopped past its lease; perhaps another one has its job when it goes on."""
        publisher = self.workers[which % len(self.workers)]
        if crashes:
            self.workers.remove(publisher)
        self.store.renew(publisher.job, timedelta(0))
        if is_noticed:
            self.reaper.sweep()
            self.take()

    @precondition(lambda self: self.accepted)
    @rule(which=CHOICE)
    def cancel(self, which: int) -> None:
        try:
            job = self.store.get(self.accepted[which % len(self.accepted)])
        except JobNotFound:
            return
        if move := CANCELING.get(job.status):
            self.store.make(move(job))

    @precondition(lambda self: self.accepted)
    @rule(which=CHOICE)
    def overdue(self, which: int) -> None:
        """A queued job's time is over."""
        self.client.zadd(keys.waiting(CAT_TO_DOG.model), {self.accepted[which % len(self.accepted)]: 0}, xx=True)

    @precondition(lambda self: self.accepted)
    @rule(which=CHOICE, removes=st.booleans())
    def erase(self, which: int, removes: bool) -> None:
        """The client erases a job; the API may be killed before it has removed the artifacts."""
        job_id = self.accepted[which % len(self.accepted)]

        async def erased() -> None:
            async with redis.asyncio.Redis.from_url(self.url, decode_responses=True) as client:
                await AsyncRedisJobStore(client).erase(self.store.get(job_id))

        try:
            asyncio.run(erased())
        except StillActive:
            assert not self.store.get(job_id).status.is_terminal
        except JobNotFound:
            assert job_id in self.erased
        else:
            self.erased.add(job_id)
            if removes:
                self.storage.remove_all(f"jobs/{job_id}")

    @rule()
    def sweep(self) -> None:
        self.reaper.sweep()

    @rule()
    def reaper_is_killed_before_it_has_sent_a_message(self) -> None:
        for job_id in Upkeep(self.client).lapsed(CAT_TO_DOG.model):
            self.store.make(moves.take_back(self.store.get(job_id), max_attempts=3))

    @invariant()
    def an_end_is_written_once(self) -> None:
        told: dict[str, list[str]] = {}
        batches: list[str] = []
        for _, fields in self.client.xrange(keys.OUTBOX):
            if "batch" in fields:
                batches.append(fields["batch"])
            else:
                told.setdefault(fields["job"], []).append(fields["status"])
        # A batch has ended once, and has when all of its jobs have; whatever became of their records.
        assert sorted(batches) == sorted(batch for batch, jobs in self.batches.items() if told.keys() >= set(jobs))
        for job_id in set(self.accepted) - self.erased:
            job = self.store.get(job_id)
            status, place = job.status, execution_prefix(job_id, job.execution or "")
            assert all(artifact.key.startswith(f"{place}/") for artifact in job.artifacts)
            assert told.get(job_id, []) == ([status] if status.is_terminal else [])
            assert self.ends.get(job_id, status) is status
            if status.is_terminal:
                self.ends[job_id] = status
        assert all(len(told[job_id]) == 1 for job_id in self.erased)

    def teardown(self) -> None:
        """Whatever has happened: two sweeps, and workers that are not killed, bring every job to its end."""
        for publisher in self.workers:
            self.store.renew(publisher.job, timedelta(0))
        for _ in range(8):
            self.reaper.sweep()
            self.reaper.sweep()
            while message := self.client.rpop(QUEUE):
                try:
                    publisher = Publisher(self.store.get(job_of(message)), self.store, self.storage, self.sources)
                except JobNotFound:
                    continue
                for event in (Started(), PICTURE, Finished()):
                    if not self.goes_on(publisher, event):
                        break
        self.an_end_is_written_once()
        assert all(self.client.hget(keys.batch(batch), "left") == "0" for batch in self.batches)
        assert {job_id for job_id in self.accepted if job_id not in self.ends} <= self.erased
        self.nothing_is_left_over()

    def nothing_is_left_over(self) -> None:
        """Two hours later, every artifact is of a job that has succeeded, by the execution that did it."""
        late = [item for item in self.client.zrange(keys.LITTER, 0, -1) if item.endswith(moves.AGAIN)]
        for item in late:
            self.client.zadd(keys.LITTER, {item: 0})
        self.reaper.sweep()
        for job_id, execution in self.storage.places():
            job = self.store.get(job_id)
            assert (job.status, job.execution) == (JobStatus.SUCCEEDED, execution)

    def goes_on(self, publisher: Publisher, event: Event) -> bool:
        """A worker goes on; False where it finds that it has lost its job."""
        try:
            publisher.handle(event)
        except (IllegalTransition, JobNotFound):
            self.loses(publisher)
            return False
        if isinstance(event, Finished | Failed | Canceled | HandedBack) and publisher in self.workers:
            self.workers.remove(publisher)
        return True

    def loses(self, publisher: Publisher) -> None:
        publisher.discard()
        if publisher in self.workers:
            self.workers.remove(publisher)


@pytest.mark.parametrize("runs", [200])
def test_every_accepted_job_ends_once_and_leaves_nothing_behind(redis_client, redis_url, runs):
    run_state_machine_as_test(
        lambda: JobMachine(redis_client, redis_url),
        settings=settings(
            max_examples=runs,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

"""Jobs at one table: when they join, what they share, and that one's trouble is its own."""

import json
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from jobs import moves
from jobs.model import Job, JobStatus, new_job
from jobs.redis.head import Entry
from p2p.spec import EditSpec
from tests import families, tiny
from tests.patience import PATIENCE
from worker import sharing
from worker.engine import Engine
from worker.lease import Leases
from worker.moderation import Judge
from worker.publishing import Publisher
from worker.sampler import ModelSampler
from worker.sharing import SharedModel
from worker.table import PUBLISHED_AT_ONCE
from worker.tasks import WorkerContext, run_edit, set_context

ROWS_OF_A_PAIR = 4


class Waiting:
    """`Head` of an in-memory store: its queued jobs in the order in which they were made."""

    def __init__(self, store) -> None:
        self._store = store

    def entries(self) -> list[Entry]:
        return [Entry(f"{job.id}-0", job) for job in self._store.all() if job.status is JobStatus.QUEUED]


@pytest.fixture(scope="module")
def family():
    return families.of(tiny.pipeline())


@pytest.fixture
def table(plane, family):
    """A worker that shares steps between up to four pairs. `before` has what is done before some turns."""
    plane.store.make(moves.cancel(plane.job))
    before: dict[int, object] = {}
    turns: list[int] = []  # jobs of each

    class Counted(SharedModel):
        def turn(self):
            before.pop(len(turns), lambda: None)()
            size = super().turn()
            turns.append(size.jobs)
            return size

    def give_up():
        raise SystemExit(70)

    declaration = plane.declaration.model_copy(update={"max_rows": ROWS_OF_A_PAIR * 4})
    share = partial(Counted, family)
    engine = Engine(ModelSampler(family), declaration, revision=family.revision, share=share)
    context = WorkerContext(
        model="tiny",
        engine=engine,
        store=plane.store,
        queue=plane.queue,
        storage=plane.storage,
        sources=plane.sources,
        patience=declaration.patience,
        drain=plane.drain,
        give_up=give_up,
        head=Waiting(plane.store),
    )
    set_context(context)
    yield SimpleNamespace(context=context, before=before, turns=turns)
    set_context(None)


@pytest.fixture
def pair(plane):
    """Queues an edit of one target."""

    def queued(*, prompt: str = "a dog on the beach", attempt: int = 0, **sampling: object) -> Job:
        spec = {
            "model": "tiny",
            "source": {"prompt": "a cat on the beach"},
            "targets": [{"prompt": prompt, "edits": [{"kind": "replace"}]}],
            "sampling": {"seed": 1, "steps": 4, "guidance_scale": 3.0, "height": 32, "width": 32, **sampling},
        }
        job = new_job(EditSpec.model_validate(spec), lifetime=timedelta(hours=1)).model_copy(
            update={"attempt": attempt}
        )
        plane.store.create(job)
        return job

    return queued


def turns_of(plane, job: Job) -> list[tuple[int, int]]:
    """Of a job's denoising turns: how many had so many jobs."""
    record = plane.store.get(job.id)
    (key,) = (each.key for each in record.artifacts if each.kind == "manifest")
    said = json.loads(plane.storage.read(key))["turns"]
    return [(each["turns"], each["jobs"]) for each in said if each["part"] == "denoise"]


def states(plane, *jobs: Job) -> list[str]:
    return [plane.store.get(job.id).status for job in jobs]


def test_a_short_job_begins_at_the_next_step_of_a_long_one(plane, table, pair):
    long, short = pair(steps=30), None

    def post() -> None:
        nonlocal short
        short = pair(steps=4)

    table.before[10] = post
    run_edit(long.id)

    assert states(plane, long, short) == ["succeeded"] * 2
    # It came while the eleventh turn was made, and was in the twelfth.
    assert table.turns[:16] == [1] * 11 + [2] * 4 + [1]
    assert turns_of(plane, short) == [(4, 2)]


def test_jobs_join_as_long_as_there_are_rows(plane, table, pair):
    jobs = [pair(steps=3) for _ in range(5)]

    run_edit(jobs[0].id)

    assert states(plane, *jobs) == ["succeeded"] * 5
    assert [turns_of(plane, job) for job in jobs] == [[(3, 4)]] * 4 + [[(3, 1)]]


def test_an_error_in_joining_is_that_jobs_own(plane, table, pair, family, monkeypatch):
    good, bad, last = pair(seed=1), pair(seed=666), pair(seed=3)
    made = torch.Generator.manual_seed

    def seeded(self, seed):
        if seed == 666:
            raise RuntimeError("this seed cannot be drawn from")
        return made(self, seed)

    monkeypatch.setattr("p2p.sampling.torch.Generator", _generator(seeded))

    run_edit(good.id)

    assert states(plane, good, bad, last) == ["succeeded", "failed", "succeeded"]
    assert plane.store.get(bad.id).error.code == "internal_error"


def _generator(seeded):
    class Generator(torch.Generator):
        def manual_seed(self, seed):
            return seeded(self, seed)

    return Generator


ALONE = {
    "a second attempt": {"attempt": 1},
    "more rows than there are": {"seed": None, "seeds": [1, 2, 3, 4, 5]},
    "it asks for it": {"alone": True},
}


@pytest.mark.parametrize("asked", ALONE.values(), ids=ALONE)
def test_what_must_be_alone_shares_with_nobody(plane, table, pair, asked):
    first, other = pair(**asked), pair()

    run_edit(first.id)
    assert states(plane, first, other) == ["succeeded", "queued"]
    assert turns_of(plane, first) == [(4, 1)]
    run_edit(other.id)

    assert states(plane, other) == ["succeeded"]


@pytest.mark.parametrize("asked", ALONE.values(), ids=ALONE)
def test_what_must_be_alone_does_not_join(plane, table, pair, asked):
    first, second = pair(), pair(**asked)

    run_edit(first.id)

    assert states(plane, first, second) == ["succeeded", "queued"]


def test_results_are_stored_beside_the_next_turns(plane, table, pair, monkeypatch):
    """The storage takes nothing until another turn was made: where they waited for each other, nothing would end."""
    short, long = pair(steps=2), pair(steps=8)
    put, further = plane.storage.put, threading.Event()
    seen: list[bool] = []

    def patient(key, *rest):
        if short.id in key:
            seen.append(further.wait(PATIENCE))
        put(key, *rest)

    monkeypatch.setattr(plane.storage, "put", patient)
    table.before[7] = further.set

    run_edit(long.id)

    assert states(plane, short, long) == ["succeeded"] * 2
    assert all(seen)


def test_a_lost_device_ends_the_process_and_leaves_all_jobs_to_be_tried_again(plane, table, pair):
    def lose() -> None:
        raise torch.AcceleratorError("an illegal memory access was encountered")

    jobs = [pair(), pair()]
    table.before[2] = lose

    with pytest.raises(SystemExit):
        run_edit(jobs[0].id)

    assert states(plane, *jobs) == ["running"] * 2


def test_a_turn_that_fails_as_a_whole_ends_the_jobs_in_it_and_not_the_worker(plane, table, pair, family, monkeypatch):
    jobs = [pair(), pair()]
    monkeypatch.setattr(SharedModel, "turn", _failing)

    run_edit(jobs[0].id)

    assert states(plane, *jobs) == ["failed"] * 2


def _failing(self):
    self._last = ValueError("nothing can be computed")
    raise self._last


def test_a_worker_that_is_to_end_has_no_job_join(plane, table, pair):
    first, later = pair(), pair()
    set_context(replace(table.context, drain=SimpleNamespace(is_asked=True, is_too_late_for=lambda seconds: False)))

    run_edit(first.id)

    assert states(plane, first, later) == ["succeeded", "queued"]


def test_no_job_joins_when_another_model_is_due(plane, table, pair):
    first, later = pair(), pair()
    set_context(replace(table.context, may_join=lambda: False))

    run_edit(first.id)

    assert states(plane, first, later) == ["succeeded", "queued"]


def test_each_job_that_joins_counts_as_a_turn_of_its_model(plane, table, pair):
    took: list[str] = []
    set_context(replace(table.context, took=lambda: took.append("one")))
    jobs = [pair() for _ in range(3)]

    run_edit(jobs[0].id)

    assert took == ["one"] * 2


def test_a_job_has_its_share_of_each_turn(plane, table, pair, monkeypatch):
    usages = {}

    handle = Publisher.handle

    def noted(publisher, event):
        handle(publisher, event)
        usages[publisher.job.id] = publisher.usage

    monkeypatch.setattr(Publisher, "handle", noted)
    short, long = pair(steps=2), pair(steps=4)

    run_edit(short.id)

    assert [(usages[job.id].steps, usages[job.id].rows) for job in (short, long)] == [(2, 4), (4, 4)]
    assert 0 < usages[short.id].gpu_seconds < usages[long.id].gpu_seconds
    assert usages[short.id].megapixels == pytest.approx(32 * 32 / 1e6)


def test_a_job_of_which_nobody_can_say_what_it_needs_waits_for_its_message(plane, table, pair, monkeypatch):
    told = sharing.batch_key

    def batch_key(spec, family):
        if spec.sampling.seed == 666:
            raise RuntimeError("as no error of ours is")
        return told(spec, family)

    monkeypatch.setattr(sharing, "batch_key", batch_key)
    good, odd = pair(seed=1), pair(seed=666)

    run_edit(good.id)
    assert states(plane, good, odd) == ["succeeded", "queued"]
    run_edit(odd.id)
    assert states(plane, odd) == ["succeeded"]


@pytest.fixture
def passes(plane, table, monkeypatch):
    """Lets time pass for the leases of the worker's jobs, and has them renewed as their thread does."""
    now, made = [0.0], []

    def leases(context: WorkerContext) -> Leases:
        held = Leases(plane.store, length=context.lease, give_up=context.give_up, clock=lambda: now[0])
        made.append(held)
        return held

    def passes(seconds: float) -> None:
        now[0] += seconds
        assert made[-1].renewed()

    monkeypatch.setattr(WorkerContext, "leases", leases)
    return passes


#: More than half of what a step may take, by `ModelPatience`: two of them are too long for one.
LONG = 40


def test_jobs_that_are_prepared_one_after_the_other_make_none_late(plane, table, pair, passes):
    table.context.engine.judge = Judge(lambda shown: passes(LONG) if shown.picture is None else None)
    jobs = [pair(steps=3) for _ in range(4)]

    run_edit(jobs[0].id)

    assert states(plane, *jobs) == ["succeeded"] * 4
    assert turns_of(plane, jobs[0]) == [(3, 4)]


def test_the_first_step_of_a_job_among_others_may_take_as_long_as_alone(plane, table, pair, passes):
    table.before[0] = lambda: passes(table.context.patience.first_step_seconds - 1)
    jobs = [pair(steps=3) for _ in range(2)]

    run_edit(jobs[0].id)

    assert states(plane, *jobs) == ["succeeded"] * 2


def test_jobs_whose_results_wait_to_be_stored_are_not_late(plane, table, pair, passes, monkeypatch):
    table.context.engine.max_rows = ROWS_OF_A_PAIR * 3 * PUBLISHED_AT_ONCE
    put, begun = plane.storage.put, set()
    # As many as are stored at a time are begun, then time passes for all: three times.
    together = threading.Barrier(PUBLISHED_AT_ONCE, action=lambda: passes(LONG), timeout=PATIENCE)

    def slow(key: str, *rest: object) -> None:
        job = key.split("/")[1]
        if job not in begun:
            begun.add(job)
            together.wait()
        put(key, *rest)

    monkeypatch.setattr(plane.storage, "put", slow)
    jobs = [pair(steps=3) for _ in range(3 * PUBLISHED_AT_ONCE)]

    run_edit(jobs[0].id)

    assert states(plane, *jobs) == ["succeeded"] * len(jobs)

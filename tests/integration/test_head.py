"""The head of a model's order, as a worker sees it that takes more jobs."""

from collections.abc import Callable
from datetime import timedelta
from secrets import token_hex

import pytest

from jobs import moves
from jobs.errors import IllegalTransition
from jobs.model import Job, new_job
from jobs.redis import keys
from jobs.redis.head import ENTRIES, RedisHead
from jobs.redis.message import list_of
from jobs.redis.store import RedisJobStore
from jobs.versions import SCHEMA_VERSION
from tests.edits import CAT_TO_DOG

LEASE = timedelta(seconds=10)


@pytest.fixture
def store(redis_client) -> RedisJobStore:
    return RedisJobStore(redis_client)


@pytest.fixture
def created(store) -> Callable[..., Job]:
    """Creates jobs of a model of the test's own."""
    model = f"model-{token_hex(4)}"

    def create(**changes: object) -> Job:
        job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1)).model_copy(update={"model": model, **changes})
        store.create(job)
        return job

    return create


def test_it_has_the_first_jobs_in_their_order(redis_client, store, created):
    jobs = [created() for _ in range(3)]
    first = created(priority="high")
    head = RedisHead(redis_client, first.model)

    for _ in range(2):  # also of records that are known
        assert [each.job.id for each in head.entries() if each.job] == [first.id, *(job.id for job in jobs)]


def test_it_has_so_many_and_no_more(redis_client, store, created):
    jobs = [created() for _ in range(ENTRIES + 2)]

    assert len(RedisHead(redis_client, jobs[0].model).entries()) == ENTRIES


def test_a_record_is_read_once(redis_client, store, monkeypatch, created):
    job = created()
    head = RedisHead(redis_client, job.model)
    head.entries()
    redis_client.hset(keys.record(job.id), "priority", '"low"')

    (entry,) = head.entries()

    assert entry.job is not None
    assert entry.job.priority == "normal"


#: Of a record's fields, such as no version of this program writes.
BROKEN = {
    "no JSON": {"fixed": "{"},
    "no packed text": {"fixed": "zbm90IHBhY2tlZA=="},
    "no base64": {"fixed": "z???"},
    "another kind of value": {"fixed": "[]"},
    "a field of another type": {"attempt": '"many"'},
}


@pytest.mark.parametrize("gone", ["newer", "removed", "without what is fixed", *BROKEN])
def test_what_cannot_be_read_is_an_entry_without_a_job(redis_client, store, gone, created):
    job = created(**({"schema_version": SCHEMA_VERSION + 1} if gone == "newer" else {}))
    if gone == "removed":
        redis_client.delete(keys.record(job.id))
    elif gone == "without what is fixed":
        redis_client.hdel(keys.record(job.id), "fixed")
    elif gone in BROKEN:
        redis_client.hset(keys.record(job.id), mapping=BROKEN[gone])

    assert [each.job for each in RedisHead(redis_client, job.model).entries()] == [None]


def test_a_job_that_is_begun_from_the_order_leaves_no_message(redis_client, store, created):
    job, other = created(), created()
    message = store.get(job.id).message

    store.make(moves.begin(store.get(job.id), "beside", LEASE, beside=True))

    assert redis_client.lrange(list_of(job.model), 0, -1) == [store.get(other.id).message]
    assert redis_client.exists(f"rq:job:{message}") == 0
    assert [each.job.id for each in RedisHead(redis_client, job.model).entries() if each.job] == [other.id]


def test_of_two_workers_that_see_a_job_one_gets_it(store, created):
    job = created()
    seen = store.get(job.id)
    store.make(moves.begin(seen, "one", LEASE, beside=True))

    with pytest.raises(IllegalTransition):
        store.make(moves.begin(seen, "other", LEASE, beside=True))

    assert (store.get(job.id).execution, store.get(job.id).attempt) == ("one", 1)


def test_a_job_that_is_begun_by_its_message_leaves_that_to_rq(redis_client, store, created):
    job = created()

    store.make(moves.begin(store.get(job.id), "first", LEASE))

    assert redis_client.llen(list_of(job.model)) == 1


def test_leases_of_several_jobs_are_renewed_in_one_round_trip(redis_client, store, created):
    jobs = [store.make(moves.begin(store.get(created().id), f"of {n}", LEASE)) for n in range(3)]
    lost = jobs[1].model_copy(update={"execution": "another's"})
    before = redis_client.zscore(keys.leases(jobs[0].model), jobs[0].id)

    assert store.renew_all([jobs[0], lost, jobs[2]], 2 * LEASE) == [True, False, True]
    assert redis_client.zscore(keys.leases(jobs[0].model), jobs[0].id) > before
    assert store.renew_all([], LEASE) == []

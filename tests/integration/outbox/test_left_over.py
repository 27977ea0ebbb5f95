"""Everything that the outbox keeps ends some day, and nothing that is lost before stops it."""

from jobs.redis import keys
from tests.integration.outbox.senders import ended, is_over
from tests.patience import PATIENCE


def test_everything_ends_some_day(redis_client, redis_url, receiver, tell):
    """The log with the record; the rest a week after it was of use. An index may last a day more: its life is
    lengthened once a day.
    """
    receiver.status = 500
    job = ended(redis_client, receiver.url)
    tell(2)

    hour, day, week = 3600, 24 * 3600, 7 * 24 * 3600
    assert 0 < redis_client.ttl(keys.deliveries(job.id)) <= redis_client.ttl(keys.record(job.id)) <= hour
    for name in (keys.OUTBOX, keys.SEEN, keys.DUE, keys.telling(job.id)):
        assert week - PATIENCE < redis_client.ttl(name) <= week + day
    ours = [name for name in redis_client.keys("*") if not name.startswith("rq:")]
    assert [name for name in ours if redis_client.ttl(name) <= 0] == []


def test_the_schedule_goes_on_where_the_record_has_gone(redis_client, receiver, tell):
    receiver.status = 500
    job = ended(redis_client, receiver.url)
    tell()
    redis_client.delete(keys.record(job.id), keys.deliveries(job.id))
    receiver.status = 200
    tell()

    assert len(receiver.got) == 2
    assert is_over(redis_client, job)
    assert not redis_client.exists(keys.deliveries(job.id))


def test_a_list_that_was_lost_is_made_anew_from_the_outbox(redis_client, receiver, tell):
    receiver.status = 500
    job = ended(redis_client, receiver.url)
    tell()
    redis_client.delete(keys.SEEN, keys.DUE, keys.telling(job.id))
    receiver.status = 200
    tell(2)

    assert len(receiver.got) == 2
    assert is_over(redis_client, job)

"""An end is sent to the webhook that wants it, once it is taken no more, and signed."""

import json

import pytest
from standardwebhooks import Webhook as OfficialWebhook

from outbox import due_list as outbox
from process.trace import Trace
from tests.integration.outbox.senders import TRACE, ended, is_over, log_of
from tests.receiver import receiving
from webhooks.signature import new_secret


def test_an_end_is_told_once_where_it_is_taken(redis_client, receiver, tell):
    job = ended(redis_client)

    tell(5, url=receiver.url)

    (got,) = receiver.got
    assert got.id == f"{job.id}-canceled"
    assert json.loads(got.body)["data"]["id"] == job.id
    assert got.headers["content-type"] == "application/json"
    sent, kept = Trace.parse(got.headers["traceparent"]), Trace.parse(TRACE)
    assert (sent.trace_id, sent.flags) == (kept.trace_id, kept.flags)
    assert sent.span_id != kept.span_id
    assert is_over(redis_client, job)
    (attempt,) = log_of(redis_client, job)
    assert (attempt.attempt, attempt.status, attempt.error, attempt.outcome) == (1, 204, None, "delivered")


def test_a_jobs_own_webhook_is_told_and_the_installations_is_not(redis_client, receiver, tell):
    with receiving() as own:
        job = ended(redis_client, own.url)
        tell(url=receiver.url)

        assert own.ids == [f"{job.id}-canceled"]
    assert receiver.got == []


@pytest.mark.parametrize(("events", "told"), [(("edit.succeeded",), 0), (("edit.succeeded", "edit.canceled"), 1)])
def test_a_webhook_is_told_of_the_ends_that_it_asked_for(redis_client, receiver, tell, events, told):
    job = ended(redis_client, receiver.url, events=events)

    tell(url=receiver.url)

    assert len(receiver.got) == told
    assert is_over(redis_client, job)


def test_where_there_is_nobody_to_tell_nothing_is_left_over(redis_client, tell):
    job = ended(redis_client)

    tell()

    assert is_over(redis_client, job)
    assert log_of(redis_client, job) == []


def test_every_attempt_is_verified_by_the_official_package_with_each_of_the_secrets(redis_client, receiver, tell):
    old, new = new_secret(), new_secret()
    job = ended(redis_client, receiver.url)
    receiver.status = 500
    tell(2, secrets=[new, old])

    first, second = receiver.got
    for secret in (old, new):
        for got in (first, second):
            assert OfficialWebhook(secret).verify(got.body, dict(got.headers))["data"]["id"] == job.id
    assert first.body == second.body


def test_without_a_secret_a_message_is_not_signed(redis_client, receiver, tell):
    ended(redis_client, receiver.url)

    tell()

    assert "webhook-signature" not in receiver.got[0].headers


def test_everything_is_taken_in_however_much_there_is(redis_client, receiver, tell, monkeypatch):
    monkeypatch.setattr(outbox, "AT_ONCE", 3)
    jobs = [ended(redis_client, receiver.url) for _ in range(10)]

    tell(6)

    assert sorted(receiver.ids) == sorted(f"{job.id}-canceled" for job in jobs)

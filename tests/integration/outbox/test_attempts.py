"""An end that was not taken is sent again under the same id, as the schedule says, and only to where it may go."""

from collections.abc import Sequence

import pytest

from jobs.redis import keys
from tests.integration.outbox.senders import ended, is_over, log_of
from tests.patience import PATIENCE
from tests.receiver import receiving
from webhooks import post, schedule


@pytest.mark.parametrize("status", [500, 404, 429, 302, 308])
def test_an_end_that_was_not_taken_is_told_again_under_the_same_id(redis_client, receiver, tell, status):
    job = ended(redis_client, receiver.url)
    receiver.status, receiver.headers = status, {"Location": receiver.url}
    tell(2)
    assert not is_over(redis_client, job)
    receiver.status = 200
    tell(2)

    assert receiver.ids == [f"{job.id}-canceled"] * 3
    assert is_over(redis_client, job)
    log = [(attempt.attempt, attempt.status, attempt.outcome) for attempt in log_of(redis_client, job)]
    assert log == [(1, status, "retrying"), (2, status, "retrying"), (3, 200, "delivered")]


def test_a_redirect_is_not_followed(redis_client, receiver, tell):
    with receiving() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        ended(redis_client, receiver.url)
        tell(3)

        assert (len(receiver.got), elsewhere.got) == (3, [])


def test_the_schedule_has_an_end(redis_client, receiver, tell):
    job = ended(redis_client, receiver.url)
    receiver.status = 500

    tell(12)

    assert len(receiver.got) == 10
    assert is_over(redis_client, job)
    assert [attempt.outcome for attempt in log_of(redis_client, job)] == ["retrying"] * 9 + ["given_up"]


def test_a_receiver_that_answers_gone_is_not_called_again(redis_client, receiver, tell):
    job = ended(redis_client, receiver.url)
    receiver.status = 410

    tell(3)

    assert len(receiver.got) == 1
    assert is_over(redis_client, job)
    assert log_of(redis_client, job)[-1].outcome == "disabled"


def test_a_receiver_is_left_alone_for_as_long_as_it_asks(redis_client, receiver, tell):
    job = ended(redis_client, receiver.url)
    receiver.status, receiver.headers = 429, {"Retry-After": "3600"}

    tell(3)

    assert len(receiver.got) == 1
    seconds, _ = redis_client.time()
    # less what the test took
    assert redis_client.zscore(keys.DUE, job.id) / 1000 - seconds > 3600 - PATIENCE


def test_the_next_attempt_is_due_when_the_schedule_says(redis_client, receiver, tell, monkeypatch):
    job = ended(redis_client, receiver.url)
    receiver.status = 500
    monkeypatch.setattr(schedule, "SCHEDULE", (0, 3600, 7200))

    tell(3)

    assert len(receiver.got) == 1
    seconds, _ = redis_client.time()
    assert 3600 - PATIENCE < redis_client.zscore(keys.DUE, job.id) / 1000 - seconds <= 3600 * (1 + schedule.JITTER)


def test_a_receiver_that_hangs_is_given_up_after_a_while_and_called_again(redis_client, tell, monkeypatch):
    monkeypatch.setattr(post, "TIMEOUT", 2)
    with receiving(hangs=True) as receiver:
        job = ended(redis_client, receiver.url)
        tell(2)

        assert len(receiver.got) == 2
    assert [(attempt.status, attempt.error) for attempt in log_of(redis_client, job)] == [(None, "timeout")] * 2


def test_nobody_listening_is_no_end_of_the_sender(redis_client, tell):
    job = ended(redis_client, "http://127.0.0.1:9/")

    tell(2)

    assert redis_client.xlen(keys.OUTBOX) == 1
    assert [attempt.error for attempt in log_of(redis_client, job)] == ["connection_failed"] * 2


def test_a_name_that_resolves_to_a_private_address_is_not_called(redis_client, receiver, tell):
    job = ended(redis_client, receiver.url.replace("127.0.0.1", "localhost"))

    tell(private=False)

    assert receiver.got == []
    assert [attempt.error for attempt in log_of(redis_client, job)] == ["no_public_address"]
    # The very same is called where the setting allows it: it was the guard that held it back.
    tell(private=True)
    assert len(receiver.got) == 1


def test_a_name_that_is_rebound_after_the_check_is_called_where_it_was_checked(redis_client, receiver, tell):
    """The first answer is the receiver, the next would be another: there is no next for one attempt."""
    asked = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.9"]

    ended(redis_client, receiver.url.replace("127.0.0.1", "hooks.test"))
    tell(resolve=rebinding)

    assert (len(receiver.got), asked) == (1, ["hooks.test"])
    assert receiver.got[0].headers["host"].startswith("hooks.test:")


def test_the_installations_own_address_may_be_private(redis_client, receiver, tell):
    ended(redis_client)

    tell(url=receiver.url, private=False)

    assert len(receiver.got) == 1


@pytest.mark.parametrize(("part", "unbound"), [(b"x" * 4096, "READ_TIME"), (b"", "READ")])
def test_of_an_endless_answer_only_a_little_is_read(redis_client, tell, monkeypatch, part, unbound):
    """A flood is bounded by its bytes, silence by its time; the status counts."""
    monkeypatch.setattr(post, "READ_TIME", 0.05)
    monkeypatch.setattr(post, unbound, 10**9)
    monkeypatch.setattr(post, "TIMEOUT", 10**9)

    with receiving(status=200, endless=part) as receiver:
        job = ended(redis_client, receiver.url)
        tell()

    assert is_over(redis_client, job)
    assert [attempt.status for attempt in log_of(redis_client, job)] == [200]

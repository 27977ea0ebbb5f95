"""What follows from an answer."""

from datetime import UTC, datetime

import pytest

from webhooks.schedule import JITTER, LONGEST, SCHEDULE, Answer, Verdict, seconds_of, verdict, with_jitter

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_the_schedule_is_the_specifications():
    minute, hour = 60, 3600

    assert (0, 5, 5 * minute, 30 * minute, *(hours * hour for hours in (2, 5, 10, 14, 20, 24))) == SCHEDULE


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_taken(status):
    assert verdict(Answer(status=status), 1) == Verdict("delivered")


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 502, 503, 504, 600])
def test_anything_else_is_tried_again_a_redirect_too(status):
    assert verdict(Answer(status=status), 1) == Verdict("retrying", 5)


def test_no_answer_is_tried_again_on_the_schedule_until_its_end():
    waits = [verdict(Answer(error="timeout"), attempt).delay for attempt in range(1, len(SCHEDULE))]

    assert waits == list(SCHEDULE[1:])
    assert verdict(Answer(error="timeout"), len(SCHEDULE)) == Verdict("given_up")


def test_gone_means_gone():
    assert verdict(Answer(status=410), 1) == Verdict("disabled")


@pytest.mark.parametrize(("retry_after", "delay"), [(60.0, 60), (1.0, 5), (0.0, 5), (None, 5)])
def test_a_receiver_is_left_alone_for_as_long_as_it_says_and_not_called_sooner_than_the_schedule(retry_after, delay):
    assert verdict(Answer(status=429, retry_after=retry_after), 1) == Verdict("retrying", delay)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120), ("0", 0), ("1.5", 1.5), ("-5", 0), ("999999999", LONGEST),
        ("Sat, 31 Jan 2026 12:01:00 GMT", 60), ("Sat, 31 Jan 2026 11:00:00 GMT", 0),
        ("Sat, 31 Jan 2026 12:01:00 -0000", 60), ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST),
        ("", None), ("soon", None), ("nan", None), ("inf", None), ("31 Foo 2026", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert seconds_of(text, now=NOW) == seconds


def test_a_wait_grows_a_little_at_random_and_never_shrinks():
    waits = [with_jitter(100) for _ in range(100)]

    assert all(100 <= wait <= 100 * (1 + JITTER) for wait in waits)
    assert len(set(waits)) > 1

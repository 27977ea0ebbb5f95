"""How long a call pauses before it is sent again, without any clock but the test's."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from p2p_client.asking import Api, attempted, retry_after
from p2p_client.effects import Pause, Send
from p2p_client.errors import TooBusy, Unreachable
from tests.patience import PATIENCE
from tests.unit.client.answering import URL, problem

SEND = Send(method="GET", url=URL)


def pauses(answer: httpx.Response | Exception, *, patience: float = 60, chance: float = 1.0) -> tuple[list, Exception]:
    """The pauses of a call that never succeeds, and what it raises in the end."""
    now, paused = 0.0, []
    operation = attempted(Api(base_url=URL, patience=patience, clock=lambda: now, chance=lambda: chance), SEND)
    effect = next(operation)
    try:
        while True:
            if isinstance(effect, Pause):
                paused.append(effect.seconds)
                now += effect.seconds
                effect = operation.send(None)
            elif isinstance(answer, Exception):
                effect = operation.throw(answer)
            else:
                effect = operation.send(answer)
    except (TooBusy, Unreachable) as error:
        return paused, error


def busy(retry_after: str | None) -> httpx.Response:
    answer = problem(429, "rate_limited", retry_after=retry_after)
    answer.request = httpx.Request("GET", URL)
    return answer


def test_retry_after_is_kept_to():
    assert pauses(busy("25"))[0] == [25, 25]


def test_where_nobody_says_when_pauses_grow_up_to_a_bound():
    assert pauses(httpx.ReadError("lost"))[0] == [0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8]


def test_pauses_are_at_random_so_that_not_all_come_back_at_once():
    assert pauses(httpx.ReadError("lost"), patience=2, chance=0.5)[0] == [0.25, 0.5, 1]


def test_no_answer_makes_a_busy_loop():
    paused, _ = pauses(busy("0"), patience=1)

    assert min(paused) > 0
    assert len(paused) <= 10


def test_all_pauses_together_are_no_longer_than_the_patience():
    for answer in (busy("7"), busy(None), httpx.ConnectError("refused")):
        paused, error = pauses(answer, patience=20)
        assert 0 < sum(paused) <= 20
        assert isinstance(error, TooBusy if isinstance(answer, httpx.Response) else Unreachable)


@pytest.mark.parametrize("given", ["", "soon", "-3"])
def test_a_retry_after_that_says_nothing_is_passed_over(given):
    assert retry_after({"Retry-After": given}) is None


def test_a_retry_after_may_be_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)

    # A second is the header's own precision; less what the test took.
    assert retry_after({"Retry-After": date}) == pytest.approx(3600, abs=PATIENCE)
    assert retry_after({"Retry-After": "Sat, 01 Jan 2000 00:00:00 GMT"}) == 0

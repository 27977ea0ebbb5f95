"""Every attempt is counted once, and the time from an end to its delivery is measured."""

from collections.abc import Callable

import pytest

from jobs.redis import keys
from process.metrics import OUTBOX, REGISTRIES
from tests.integration.outbox.senders import ALWAYS, ended
from tests.patience import PATIENCE


@pytest.fixture
def more() -> Callable[..., float]:
    """By how much a sample of the senders has grown since the test began."""

    def now(name: str, **labels: str) -> float:
        return REGISTRIES[OUTBOX].get_sample_value(name, labels) or 0.0

    results = ("delivered", "refused", "unreachable", "given_up", "disabled")
    asked = [("p2p_webhook_attempts_total", {"result": each}) for each in results]
    asked += [("p2p_webhook_delivery_seconds_count", {}), ("p2p_webhook_delivery_seconds_sum", {})]
    before = {(name, *labels.values()): now(name, **labels) for name, labels in asked}
    return lambda name, **labels: now(name, **labels) - before[name, *labels.values()]


@pytest.mark.parametrize(
    ("status", "attempts", "counted"),
    [
        (204, 1, {"delivered": 1}),
        (500, 2, {"refused": 2}),
        (None, 2, {"unreachable": 2}),
        (500, len(ALWAYS), {"refused": len(ALWAYS) - 1, "given_up": 1}),
        (410, 1, {"disabled": 1}),
    ],
)
def test_every_attempt_is_counted_once_by_what_came_of_it(
    redis_client, receiver, tell, more, status, attempts, counted
):
    ended(redis_client, "http://127.0.0.1:9/" if status is None else receiver.url)
    receiver.status = status

    tell(attempts)

    results = ("delivered", "refused", "unreachable", "given_up", "disabled")
    found = {each: more("p2p_webhook_attempts_total", result=each) for each in results}
    assert {each: count for each, count in found.items() if count} == counted


def test_the_lag_of_a_delivery_is_counted_from_the_end(redis_client, receiver, tell, more):
    ended(redis_client, receiver.url)
    # The end as it would have been written an hour ago.
    ((entry, fields),) = redis_client.xrange(keys.OUTBOX)
    redis_client.delete(keys.OUTBOX)
    redis_client.xadd(keys.OUTBOX, fields, id=f"{int(entry.split('-')[0]) - 3_600_000}-0")

    tell()

    assert more("p2p_webhook_delivery_seconds_count") == 1
    assert 3600 <= more("p2p_webhook_delivery_seconds_sum") < 3600 + PATIENCE

"""A real Redis that is empty, a receiver, and senders that wait for nothing."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from outbox import __main__ as module
from tests.integration.outbox.senders import ALWAYS, Senders, a_round
from tests.patience import PATIENCE
from tests.receiver import Receiver, receiving
from webhooks import schedule


@pytest.fixture(autouse=True)
def impatient(redis_client, monkeypatch) -> None:
    """An empty Redis, and senders that do not wait for anything: neither for new ends nor between attempts."""
    redis_client.flushdb()
    monkeypatch.setattr(module, "TURN", 1)
    monkeypatch.setattr(module, "LOOK", 0.01)
    monkeypatch.setattr(schedule, "SCHEDULE", ALWAYS)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def tell(redis_url) -> Callable[..., None]:
    """Some rounds of one sender."""

    def told(number: int = 1, **how) -> None:
        async def rounds() -> None:
            async with Senders(redis_url) as senders, asyncio.timeout(PATIENCE):
                sender = await senders.one(**how)
                for _ in range(number):
                    await a_round(sender)

        asyncio.run(rounds())

    return told

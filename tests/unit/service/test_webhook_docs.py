"""The receiver in docs/webhooks.md takes what is sent, and nothing else."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from jobs.batches import BATCH_EVENT_NAMES
from tests.unit.service.test_webhook_messages import ended, message_about
from webhooks.messages import BatchEnded, EditEnded, Message
from webhooks.post import TIMEOUT, post
from webhooks.receivers import AT_A_TIME
from webhooks.schedule import SCHEDULE
from webhooks.signature import new_secret

TEXT = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")


@pytest.fixture
def receiver(monkeypatch) -> tuple[str, httpx.ASGITransport]:
    """The receiver's secret, and the receiver."""
    secret, names = new_secret(), {}
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(code, "docs/webhooks.md", "exec"), names)
    return secret, httpx.ASGITransport(app=names["app"])


def answer_to(message: Message, receiver: httpx.ASGITransport, secrets: list[str]) -> int | None:
    async def posted() -> int | None:
        async with httpx.AsyncClient(transport=receiver) as client:
            return (await post(message, client, "http://receiver.test/told", secrets)).status

    return asyncio.run(posted())


def test_the_receiver_takes_a_message(receiver, capsys):
    secret, app = receiver
    message = message_about(ended())

    assert answer_to(message, app, [new_secret(), secret]) == 204
    assert capsys.readouterr().out == f"edit.succeeded {message.job}\n"


@pytest.mark.parametrize("secrets", [[], [new_secret()]])
def test_the_receiver_takes_nothing_that_others_signed(receiver, secrets):
    assert answer_to(message_about(ended()), receiver[1], secrets) == 401


def test_the_messages_shown_are_messages():
    shown = re.findall(r"^\{\"type\".*$", TEXT, re.MULTILINE)

    for text, kind in zip(shown, (EditEnded, BatchEnded), strict=True):
        assert kind.model_validate_json(text).model_dump_json(exclude_none=True) == text


def test_the_page_says_what_the_code_does():
    units = {"s": 1, "min": 60, "h": 3600}
    (waits,) = re.findall(r"it is sent again (.*?);", TEXT)

    assert [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", waits)] == list(SCHEDULE[1:])
    assert f"within {TIMEOUT:.0f} seconds" in TEXT
    assert f"At most {AT_A_TIME} attempts" in TEXT
    assert all(f"`{event}`" in TEXT for event in BATCH_EVENT_NAMES)

"""Webhooks from the request to the receiver: the real API, real senders, one of them killed."""

import os
import signal
from collections.abc import Iterator

import httpx
import pytest
from standardwebhooks import Webhook as OfficialWebhook

from stack.processes import python, running
from stack.services import Stack, stack
from tests.patience import ANSWER, PATIENCE, eventually
from tests.receiver import Receiver, receiving
from webhooks.signature import new_secret

SECRET = new_secret()


@pytest.fixture(scope="module")
def plane(tiny_models, tmp_path_factory) -> Iterator[Stack]:
    """The API, the reaper and one sender, which may call this machine; no worker: what ends here is canceled."""
    settings = {"WEBHOOK_PRIVATE": "1", "WEBHOOK_SECRET": SECRET}
    with stack(tmp_path_factory.mktemp("webhooks"), {}, models_file=tiny_models, settings=settings) as started:
        yield started


@pytest.fixture
def api(plane) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=plane.url, timeout=ANSWER) as client:
        yield client


def canceled(api: httpx.Client, receiver: Receiver) -> str:
    """An edit that has ended; its address."""
    body = {
        "model": "tiny",
        "source": {"prompt": "a cat on the beach"},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
        "webhook": {"url": receiver.url},
    }
    address = api.post("/v1/edits", json=body).raise_for_status().headers["Location"]
    api.post(f"{address}/cancel").raise_for_status()
    return address


def outcomes(api: httpx.Client, address: str, number: int) -> list[str]:
    """What came of an edit's attempts, once there are so many."""

    def made() -> list[dict]:
        return api.get(f"{address}/deliveries").raise_for_status().json()["attempts"]

    assert eventually(lambda: len(made()) >= number)
    return [attempt["outcome"] for attempt in made()]


def test_an_end_is_told_logged_and_told_again_on_demand(api):
    with receiving() as receiver:
        address = canceled(api, receiver)
        assert outcomes(api, address, 1) == ["delivered"]

        assert api.post(f"{address}/deliveries").status_code == 202
        assert outcomes(api, address, 2) == ["delivered", "delivered"]

        first, second = receiver.got
    assert first.id == second.id
    told = OfficialWebhook(SECRET).verify(second.body, dict(second.headers))
    assert told["data"]["links"]["self"] == address


def batch_canceled(api: httpx.Client, receiver: Receiver, number: int) -> str:
    """A batch that has ended; its address."""
    edit = {
        "model": "tiny",
        "source": {"prompt": "a cat on the beach"},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    }
    body = {"edits": [edit] * number, "webhook": {"url": receiver.url}}
    address = api.post("/v1/batches", json=body).raise_for_status().headers["Location"]
    assert api.post(f"{address}/cancel").raise_for_status().json()["status"] == "ended"
    return address


def test_a_batch_is_told_of_once_when_all_of_its_edits_have_ended(api):
    with receiving() as receiver:
        address = batch_canceled(api, receiver, 3)
        assert outcomes(api, address, 1) == ["delivered"]
        assert api.post(f"{address}/deliveries").status_code == 202
        assert outcomes(api, address, 2) == ["delivered", "delivered"]

        first, second = receiver.got
    assert first.id == second.id == f"{address.split('/')[-1]}-ended"
    told = OfficialWebhook(SECRET).verify(second.body, dict(second.headers))
    assert (told["type"], told["data"]["links"]["self"]) == ("batch.ended", address)
    assert told["data"]["counts"] == {"succeeded": 0, "failed": 0, "canceled": 3, "expired": 0}
    assert [(edit["id"], edit["status"]) for edit in told["data"]["edits"]] == [
        (edit["id"], "canceled") for edit in api.get(address).json()["edits"]
    ]


@pytest.mark.parametrize("ends", [canceled, lambda api, receiver: batch_canceled(api, receiver, 2)])
def test_a_second_attempt_follows_the_first_that_failed(api, ends):
    with receiving(status=503) as receiver:
        address = ends(api, receiver)
        receiver.wait_for(1)
        receiver.status = 204
        receiver.wait_for(2)

        assert outcomes(api, address, 2) == ["retrying", "delivered"]


def test_what_a_killed_sender_had_in_hand_another_tells(api, plane, tmp_path):
    """An edit's end and a batch's; both hang at the receiver, and the killed one cannot renew its claims."""
    sender = plane.processes["outbox"]
    with receiving(hangs=True) as receiver:
        address, batch = canceled(api, receiver), batch_canceled(api, receiver, 2)
        receiver.wait_for(2)
        os.kill(sender.pid, signal.SIGKILL)
        sender.wait()
        receiver.hangs = False
        with running("other", python("-m", "outbox"), tmp_path / "log", plane.environment):
            receiver.wait_for(4)

            assert outcomes(api, address, 1) == ["delivered"]
            assert outcomes(api, batch, 1) == ["delivered"]
    assert len(set(receiver.ids)) == 2


def test_a_sender_that_is_told_to_end_ends_and_says_at_its_start_what_it_does(plane, tmp_path):
    log = tmp_path / "log"
    with running("one", python("-m", "outbox"), log, {**plane.environment, "WEBHOOK_SECRET": ""}) as sender:
        assert eventually(lambda: "WEBHOOK_PRIVATE" in log.read_text())
        sender.terminate()

        assert sender.wait(PATIENCE) == 0
    assert "WEBHOOK_SECRET is empty: messages are not signed" in log.read_text()
    assert "Traceback" not in log.read_text()

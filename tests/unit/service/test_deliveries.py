"""An edit's own webhook, the log of its deliveries, and sending again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs import moves
from jobs.batches import BATCH_EVENT_NAMES
from jobs.model import EVENT_NAMES, Webhook
from service.app import create_app
from service.settings import Settings
from tests.unit.service.test_addresses import LITERALS, REFUSED
from webhooks.deliveries import Attempt

URL = "https://hooks.test/told"


def posted(client, edit: dict, **webhook: object) -> str:
    response = client.post("/v1/edits", json={**edit, "webhook": {"url": URL, **webhook}})
    assert response.status_code == 202, response.text
    return response.json()["id"]


def test_an_edits_webhook_is_kept_with_it(client, edit, parts):
    job = parts.store.get(posted(client, edit, events=["edit.failed"]))

    assert job.webhook == Webhook(url=URL, events=("edit.failed",))


def test_a_webhook_is_told_of_every_end_where_it_names_none(client, edit, parts):
    assert parts.store.get(posted(client, edit)).webhook.events == EVENT_NAMES


def test_the_webhook_is_no_part_of_what_is_made(client, edit, parts):
    assert parts.store.get(posted(client, edit)).spec.targets == parts.store.get(posted(client, edit)).spec.targets
    assert not hasattr(parts.store.get(posted(client, edit)).spec, "webhook")


@pytest.mark.parametrize("url", [*REFUSED, *LITERALS], ids=lambda url: repr(url[:40]))
def test_a_url_that_will_not_be_called_is_pointed_at(client, edit, parts, url):
    response = client.post("/v1/edits", json={**edit, "webhook": {"url": url}})

    assert response.status_code == 422
    ((pointer, code),) = [(error["pointer"], error["code"]) for error in response.json()["errors"]]
    assert (pointer, code) == ("/webhook/url", REFUSED.get(url, "private_address"))
    assert parts.queue.job_ids == []


@pytest.mark.parametrize(
    ("webhook", "pointer"),
    [
        ({}, "/webhook/url"),
        ({"url": 1}, "/webhook/url"),
        ({"url": URL, "events": []}, "/webhook/events"),
        ({"url": URL, "events": ["edit.started"]}, "/webhook/events/0"),
        ({"url": URL, "events": ["edit.failed"] * 5}, "/webhook/events"),
        ({"url": URL, "secret": "x"}, "/webhook/secret"),
        ("x", "/webhook"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_pointed_at(client, edit, webhook, pointer):
    response = client.post("/v1/edits", json={**edit, "webhook": webhook})

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


def test_a_private_address_is_taken_where_the_installation_allows_it(serve, edit, parts):
    parts.plane = replace(parts.plane, webhook_private=True)

    assert parts.store.get(posted(serve(), edit, url="http://127.0.0.1:3000/told")).webhook


def canceled(client, job_id: str) -> str:
    client.post(f"/v1/edits/{job_id}/cancel").raise_for_status()
    return job_id


def failed_attempt() -> Attempt:
    return Attempt(attempt=1, at=datetime.now(UTC), seconds=0.1, error="timeout", outcome="retrying")


def test_the_log_says_what_came_of_each_attempt_and_when_the_next_one_is(client, edit, parts):
    job_id = canceled(client, posted(client, edit))
    attempt, due = failed_attempt(), datetime.now(UTC) + timedelta(minutes=5)
    parts.deliveries.logs[job_id].append(attempt)
    parts.deliveries.due[job_id] = due

    body = client.get(f"/v1/edits/{job_id}/deliveries").json()

    assert body["webhook"] == {"url": URL, "events": list(EVENT_NAMES)}
    assert [Attempt.model_validate(line) for line in body["attempts"]] == [attempt]
    assert datetime.fromisoformat(body["next_attempt_at"]) == due


def test_an_edit_that_nobody_was_told_of_has_an_empty_log(client, edit):
    job_id = client.post("/v1/edits", json=edit).json()["id"]

    body = client.get(f"/v1/edits/{job_id}/deliveries").json()

    assert body == {"webhook": None, "next_attempt_at": None, "attempts": []}


def test_an_end_can_be_told_again(client, edit, parts):
    job_id = canceled(client, posted(client, edit))

    response = client.post(f"/v1/edits/{job_id}/deliveries")

    assert response.status_code == 202
    assert response.json()["next_attempt_at"]
    assert job_id in parts.deliveries.due


def test_an_end_that_the_installations_webhook_was_told_of_can_be_told_again(client, edit, parts):
    job_id = canceled(client, client.post("/v1/edits", json=edit).json()["id"])
    parts.deliveries.logs[job_id].append(failed_attempt())

    assert client.post(f"/v1/edits/{job_id}/deliveries").status_code == 202


@pytest.mark.parametrize("webhook", [{}, {"webhook": {"url": URL, "events": ["edit.succeeded"]}}])
def test_where_nobody_wants_to_know_there_is_nothing_to_send_again(client, edit, parts, webhook):
    job_id = canceled(client, client.post("/v1/edits", json={**edit, **webhook}).json()["id"])

    response = client.post(f"/v1/edits/{job_id}/deliveries")

    assert (response.status_code, response.json()["code"]) == (409, "no_webhook")
    assert parts.deliveries.due == {}


def test_an_edit_that_has_not_ended_has_nothing_to_send_again(client, edit, parts):
    job_id = posted(client, edit)

    waiting = client.post(f"/v1/edits/{job_id}/deliveries")
    parts.store.make(moves.begin(parts.store.get(job_id), "e1", timedelta(seconds=10)))
    running = client.post(f"/v1/edits/{job_id}/deliveries")

    assert waiting.status_code == running.status_code == 409
    assert waiting.json()["code"] == running.json()["code"] == "not_ended"


def test_an_unknown_edit_has_no_deliveries(client):
    for response in (client.get("/v1/edits/nobody/deliveries"), client.post("/v1/edits/nobody/deliveries")):
        assert (response.status_code, response.json()["code"]) == (404, "job_not_found")


def test_the_description_tells_of_every_message_that_is_sent():
    document = create_app(Settings()).openapi()

    assert set(document["webhooks"]) == set(BATCH_EVENT_NAMES)
    for event, path in document["webhooks"].items():
        (schema,) = (content["schema"] for content in path["post"]["requestBody"]["content"].values())
        of = "EditEnded" if event in EVENT_NAMES else "BatchEnded"
        assert schema == {"$ref": f"#/components/schemas/{of}"}
        assert "422" not in path["post"]["responses"]
    assert "HTTPValidationError" not in str(document)

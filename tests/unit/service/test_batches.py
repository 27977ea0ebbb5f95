"""Batches over HTTP: all edits are accepted or none, and they are followed, canceled and told of as one."""

from dataclasses import replace

import anyio
import pytest

from jobs import moves
from jobs.admission import Limits
from jobs.batches import MAX_EDITS
from jobs.model import EVENT_NAMES
from service.api_keys import Caller
from webhooks.messages import is_batch_wanted, message_about_batch

HOOK = "https://example.com/told"


def posted(client, *edits: dict, **batch) -> dict:
    response = client.post("/v1/batches", json={"edits": edits, **batch})
    assert response.status_code == 202, response.text
    return response.json()


def ended(parts, edit_id: str):
    return parts.store.make(moves.cancel(parts.store.get(edit_id)))


def test_an_accepted_batch_is_answered_with_its_address_and_those_of_its_edits(client, edit, parts):
    response = client.post("/v1/batches", json={"edits": [edit, edit]})

    body = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == body["links"]["self"] == f"/v1/batches/{body['id']}"
    assert (body["status"], body["finished_at"], body["counts"]["queued"]) == ("active", None, 2)
    assert client.get(body["links"]["self"]).json() == body
    for one in body["edits"]:
        assert client.get(one["links"]["self"]).json()["status"] == one["status"] == "queued"
    assert [one["id"] for one in body["edits"]] == [job.id for job in parts.store.all()]
    assert {job.batch for job in parts.store.all()} == {body["id"]}


def test_an_edit_of_a_batch_has_what_it_asked_for_itself(client, edit, parts):
    posted(client, {**edit, "priority": "high"}, {**edit, "sampling": {"seed": 5}, "start_within": 60})

    first, second = parts.store.all()
    assert (first.priority, second.priority) == ("high", "normal")
    assert (first.spec.sampling.seed, second.spec.sampling.seed) == (1000, 5)
    assert second.queue_limit.total_seconds() == 60
    assert first.traceparent == second.traceparent


LONG = "cat " * 30
REPLACE = [{"kind": "replace"}]


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"targets": [{"prompt": LONG, "edits": [{"kind": "refine"}]}]}, "/targets/0/prompt", "prompt_too_long"),
        ({"targets": [{"prompt": "a big dog", "edits": REPLACE}]}, "/targets/0/edits/0", "word_counts_differ"),
        (
            {"targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace", "x": 1}]}]},
            "/targets/0/edits/0/x",
            "unknown_field",
        ),
        ({"model": "nobody"}, "/model", "unknown_model"),
        ({"webhook": {"url": "http://127.0.0.1/"}}, "/webhook/url", "private_address"),
    ],
)
def test_what_is_wrong_with_one_edit_is_pointed_at_and_nothing_is_accepted(client, edit, parts, changes, pointer, code):
    response = client.post("/v1/batches", json={"edits": [edit, edit, {**edit, **changes}]})

    body = response.json()
    assert response.status_code == 422
    assert [(error["pointer"], error["code"]) for error in body["errors"]] == [(f"/edits/2{pointer}", code)]
    assert parts.store.all() == []


def test_everything_that_is_wrong_is_said_at_once(client, edit):
    body = {"edits": [{**edit, "model": "x"}, edit, {**edit, "model": "y"}], "webhook": {"url": "http://[::1]/"}}

    errors = client.post("/v1/batches", json=body).json()["errors"]

    assert [error["pointer"] for error in errors] == ["/webhook/url", "/edits/0/model", "/edits/2/model"]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/edits", "missing_field"),
        ({"edits": []}, "/edits", "too_few"),
        ({"edits": None}, "/edits", "missing_field"),
        ({"edits": [{}], "priority": "high"}, "/edits/0/source", "missing_field"),
        ({"edits": [], "webhook": {"url": HOOK, "events": []}}, "/webhook/events", "too_few"),
        ({"edits": [], "webhook": {"url": HOOK, "events": ["batch.begun"]}}, "/webhook/events/0", "literal_error"),
        ({"edits": [], "webhook": {"url": "ftp://example.com"}}, "/webhook/url", "url_scheme"),
    ],
)
def test_a_body_that_is_none_is_refused_where_it_is_wrong(client, body, pointer, code):
    response = client.post("/v1/batches", json=body)

    assert response.status_code == 422
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in response.json()["errors"]]


def test_a_batch_holds_so_many_edits(client, edit):
    assert len(posted(client, *[edit] * MAX_EDITS)["edits"]) == MAX_EDITS

    response = client.post("/v1/batches", json={"edits": [edit] * (MAX_EDITS + 1)})

    assert [error["code"] for error in response.json()["errors"]] == ["too_many"]


@pytest.mark.parametrize(
    "limits", [Limits(per_minute=60, burst=2), Limits(active=2), pytest.param(None, id="the queue's own")]
)
def test_a_batch_that_could_never_be_accepted_is_refused_for_good(parts, serve, edit, limits):
    class Limited:
        async def of(self, authorization: str) -> Caller:
            return Caller(limits=limits or Limits())

    parts.plane = replace(parts.plane, callers=Limited(), backlog=100 if limits else 2)
    client = serve()
    posted(client, edit, edit)

    response = client.post("/v1/batches", json={"edits": [edit] * 3})

    (error,) = response.json()["errors"]
    assert (response.status_code, error["pointer"], error["code"]) == (422, "/edits", "too_many_edits")
    assert "at most 2 at once" in error["detail"]


def test_the_same_batch_under_the_same_key_is_one_batch(client, edit, parts):
    def post(*edits: dict):
        return client.post("/v1/batches", json={"edits": edits}, headers={"Idempotency-Key": "mine"})

    first, second, other = post(edit, edit), post(edit, edit), post(edit)

    assert (second.status_code, second.json()) == (202, first.json())
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(parts.store.all()) == 2
    alone = client.post("/v1/edits", json=edit, headers={"Idempotency-Key": "mine"})
    assert (alone.status_code, alone.json()["code"]) == (422, "idempotency_key_reused")


def test_a_batch_has_ended_when_all_of_its_edits_have(client, edit, parts):
    batch = posted(client, edit, edit)
    first, second = (one["id"] for one in batch["edits"])

    ended(parts, first)
    between = client.get(batch["links"]["self"]).json()
    ended(parts, second)
    after = client.get(batch["links"]["self"]).json()

    assert (between["status"], between["counts"]["canceled"], between["counts"]["queued"]) == ("active", 1, 1)
    assert (after["status"], after["counts"]["canceled"], after["counts"]["queued"]) == ("ended", 2, 0)
    assert after["finished_at"]
    assert after["expires_at"]


def test_the_tag_of_a_batch_changes_with_its_edits(client, edit, parts):
    batch = posted(client, edit, edit)
    address = batch["links"]["self"]
    tag = client.get(address).headers["ETag"]

    known = client.get(address, headers={"If-None-Match": tag})
    ended(parts, batch["edits"][0]["id"])
    changed = client.get(address, headers={"If-None-Match": tag})

    assert (known.status_code, known.headers["ETag"], known.content) == (304, tag, b"")
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_to_cancel_a_batch_cancels_what_has_not_ended(client, edit, parts):
    batch = posted(client, edit, edit, edit)
    done, runs, _ = (one["id"] for one in batch["edits"])
    finished = parts.store.make(moves.begin(parts.store.get(done), "one", moves.LATE))
    parts.store.make(moves.finish(finished, ()))
    running = parts.store.make(moves.begin(parts.store.get(runs), "two", moves.LATE))

    first = client.post(batch["links"]["cancel"])
    parts.store.make(moves.stop(running))
    second = client.post(batch["links"]["cancel"])

    assert first.status_code == 202
    assert [one["status"] for one in first.json()["edits"]] == ["succeeded", "running", "canceled"]
    assert client.get(f"/v1/edits/{runs}").json()["cancel_requested"]
    assert second.status_code == 200
    assert [one["status"] for one in second.json()["edits"]] == ["succeeded", "canceled", "canceled"]


def test_an_erased_edit_stays_in_its_batch_as_it_ended(client, edit, parts):
    batch = posted(client, edit, edit)
    first, second = (one["id"] for one in batch["edits"])
    ended(parts, first)
    assert client.delete(f"/v1/edits/{first}").status_code == 204

    assert [one["status"] for one in client.get(batch["links"]["self"]).json()["edits"]] == ["canceled", "queued"]
    ended(parts, second)
    assert client.get(batch["links"]["self"]).json()["counts"]["canceled"] == 2
    assert client.post(batch["links"]["cancel"]).status_code == 200


def test_a_batch_that_nobody_made_is_not_found(client):
    for response in (
        client.get("/v1/batches/nobody"),
        client.post("/v1/batches/nobody/cancel"),
        client.get("/v1/batches/nobody/deliveries"),
        client.post("/v1/batches/nobody/deliveries"),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "batch_not_found")


def test_a_batchs_webhook_is_told_of_the_batch_alone_unless_it_wants_more(client, edit, parts):
    own = {"webhook": {"url": "https://example.com/own"}}
    posted(client, edit, {**edit, **own}, webhook={"url": HOOK})
    every, some = (["batch.ended", *EVENT_NAMES], ["edit.failed"])
    posted(client, edit, {**edit, **own}, webhook={"url": HOOK, "events": every})
    posted(client, edit, webhook={"url": HOOK, "events": some})

    first, second, third = parts.store.batches.values()
    webhooks = [job.webhook and (job.webhook.url, list(job.webhook.events)) for job in parts.store.all()]
    told_by_itself = ("https://example.com/own", list(EVENT_NAMES))
    assert webhooks == [None, told_by_itself, (HOOK, list(EVENT_NAMES)), told_by_itself, (HOOK, some)]
    assert [is_batch_wanted(each.batch, by_installation=True) for each in (first, second, third)] == [True, True, False]


async def _standing(parts, batch: dict):
    return await parts.plane.batches.get(batch["id"])


def test_the_message_about_a_batch_counts_its_ends_and_names_its_edits(client, edit, parts):
    batch = posted(client, *[edit] * MAX_EDITS, webhook={"url": HOOK})
    client.post(batch["links"]["cancel"])

    message = message_about_batch(anyio.run(_standing, parts, batch))

    assert (message.id, message.url, message.batch, message.job) == (f"{batch['id']}-ended", HOOK, batch["id"], None)
    # Standard Webhooks asks for so much at most.
    assert len(message.body.encode()) < 20_000
    assert f'"canceled":{MAX_EDITS}' in message.body
    assert all(one["links"]["self"] in message.body for one in batch["edits"])


def test_the_deliveries_of_a_batch_are_shown_and_sent_again(client, edit, parts):
    batch = posted(client, edit, webhook={"url": HOOK})
    address = batch["links"]["deliveries"]
    early = client.post(address)
    client.post(batch["links"]["cancel"])

    again = client.post(address)

    assert (early.status_code, early.json()["code"]) == (409, "not_ended")
    assert again.status_code == 202
    assert again.json()["webhook"] == {"url": HOOK, "events": ["batch.ended"]}
    assert again.json()["next_attempt_at"] == client.get(address).json()["next_attempt_at"] is not None


def test_a_batch_that_nobody_is_told_of_cannot_be_told_again(client, edit):
    batch = posted(client, edit)
    client.post(batch["links"]["cancel"])

    response = client.post(batch["links"]["deliveries"])

    assert (response.status_code, response.json()["code"]) == (409, "no_webhook")


def test_whoever_prefers_to_wait_is_told_so(client, edit):
    response = client.post("/v1/batches", json={"edits": [edit]}, headers={"Prefer": "wait=1"})

    assert (response.status_code, response.headers["Preference-Applied"]) == (202, "wait=1")

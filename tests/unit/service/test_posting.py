"""The fast way to a new edit and FastAPI's say the same."""

import asyncio
import json

import pytest
from hypothesis import given

from process import metrics
from service.edits.requests import EditRequest
from tests.specs import specs

FAST, WHOLE = {"Content-Type": "application/json"}, {"Content-Type": "application/json; charset=utf-8"}


def without_its_own(edit: dict) -> dict:
    """What an answer says beside what is each edit's own."""
    return {name: edit[name] for name in edit.keys() - {"id", "links", "created_at", "expires_at"}}


def test_both_ways_give_the_same_answer_and_record(client, edit, parts):
    edit["sampling"] = {"seed": 3}
    fast, whole = (client.post("/v1/edits", content=json.dumps(edit), headers=each) for each in (FAST, WHOLE))

    assert fast.status_code == whole.status_code == 202
    assert list(fast.json()) == list(whole.json())
    assert without_its_own(fast.json()) == without_its_own(whole.json())
    assert fast.headers.keys() == whole.headers.keys()
    one, other = (parts.store.get(each.json()["id"]) for each in (fast, whole))
    assert (one.spec, one.owner, one.priority, one.lifetime) == (
        other.spec,
        other.owner,
        other.priority,
        other.lifetime,
    )


@pytest.mark.parametrize("ways", [(FAST, WHOLE), (WHOLE, FAST)])
def test_an_edit_that_came_by_one_way_is_there_already_for_the_other(client, edit, ways):
    first, again = (
        client.post("/v1/edits", content=json.dumps(edit), headers={**way, "Idempotency-Key": "order-1"})
        for way in ways
    )

    assert again.json()["id"] == first.json()["id"]
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[",
        b'{"source": {"prompt": "a cat"}}',
        b'{"source": {"prompt": "\\ud800"}, "targets": []}',
        b'{"source": {"prompt": "' + b"x" * 3000 + b'"}, "targets": []}',
        b"\xff\xfe",
        b"9" * 5000,
        b"x" * 300_000,
    ],
)
def test_what_is_wrong_is_the_same_problem_on_both(client, body):
    fast, whole = (client.post("/v1/edits", content=body, headers=each) for each in (FAST, WHOLE))

    assert 400 <= fast.status_code < 500
    assert (fast.status_code, fast.json()) == (whole.status_code, whole.json())


@pytest.mark.parametrize("way", [FAST, WHOLE])
def test_a_client_that_goes_before_all_is_sent_is_no_failure_of_ours(client, way):
    headers = [(name.lower().encode(), value.encode()) for name, value in {"Host": "api.test", **way}.items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/edits", "query_string": b"", "headers": headers}
    coming = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(coming)

    async def send(message):
        sent.append(message)

    asyncio.run(client.app(scope, receive, send))

    assert sent[0]["status"] == 400


@pytest.mark.parametrize("name", ["Idempotency-Key", "Content-Type", "Authorization"])
def test_a_header_that_comes_twice_means_the_same_on_both(client, edit, name):
    body, twice = json.dumps(edit), [(name, FAST.get(name, "one")), (name, FAST.get(name, "two"))]
    answers = [
        client.post("/v1/edits", content=body, headers=[*way.items(), *twice] if name not in way else twice)
        for way in (FAST, WHOLE)
    ]

    assert len({each.status_code for each in answers}) == 1


def test_both_ways_are_one_route_to_the_metrics(client, edit):
    labels = {"method": "POST", "route": "/v1/edits", "status": "2xx"}

    def count() -> float:
        return metrics.REGISTRIES[metrics.API].get_sample_value("p2p_http_request_seconds_count", labels) or 0

    before = count()
    for way in (FAST, WHOLE):
        client.post("/v1/edits", content=json.dumps(edit), headers=way)

    assert count() == before + 2


@given(specs())
def test_pydantic_reads_the_same_edit_from_text_as_from_what_python_read(spec):
    text = json.dumps(spec.model_dump(mode="json"))

    assert EditRequest.model_validate_json(text) == EditRequest.model_validate(json.loads(text))

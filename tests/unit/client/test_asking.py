"""A call is sent again where that is safe and may help, and makes one thing however often it is sent."""

import json

import httpx
import pytest

from p2p.spec import EditSpec, LoraUse
from p2p_client import BadAnswer, Conflict, NotAllowed, NotFound, Refused, ServiceFault, TooBusy, Unreachable
from tests.unit.client.answering import JOB, SPEC, URL, Answering, edit, problem

LOST = httpx.ReadError("the connection was lost")


def test_a_lost_connection_makes_no_second_edit(call):
    service = Answering(LOST, httpx.ReadTimeout("nothing came"), edit())

    assert call(service, "submit", SPEC).id == JOB

    names = [request.headers["Idempotency-Key"] for request in service.asked]
    assert len(names) == 3
    assert len(set(names)) == 1


def test_every_call_that_makes_something_has_a_name_of_its_own(call):
    batch = {"id": "b", "status": "active", "created_at": "2026-01-31T12:00:00Z", "finished_at": None}
    batch |= {"expires_at": None, "counts": {}, "edits": [], "links": {}}
    service = Answering(edit(), edit(), edit(), httpx.Response(202, json=batch))

    call(service, "submit", SPEC)
    call(service, "submit", SPEC)
    call(service, "invert", {"prompt": "a cat", "image": {"upload": "img"}})
    call(service, "submit_batch", [SPEC])

    assert len({request.headers["Idempotency-Key"] for request in service.asked}) == 4


def test_an_inversion_is_asked_for_with_loras(call):
    service = Answering(edit())

    call(service, "invert", {"prompt": "a cat", "image": {"upload": "img"}}, loras=[{"id": "ink"}, LoraUse(id="clay")])

    assert json.loads(service.asked[0].content)["loras"] == [{"id": "ink"}, {"id": "clay", "weight": 1.0}]


def test_a_name_or_an_id_of_ones_own_is_sent(call):
    service = Answering(edit())

    call(service, "submit", SPEC, idempotency_key="order-17")
    call(service, "submit", SPEC, id="order-17")

    assert [request.headers.get("Idempotency-Key") for request in service.asked] == ["order-17", None]
    assert (service.asked[1].method, service.asked[1].url.path) == ("PUT", "/v1/edits/order-17")


def test_a_typed_spec_is_sent_whole(call):
    service, spec = Answering(edit()), EditSpec.model_validate(SPEC | {"sampling": {"seed": 3}})

    call(
        service,
        "submit",
        spec,
        webhook="https://example.com/told",
        priority="high",
        start_within=60,
        prompt_syntax="text",
    )

    body = json.loads(service.asked[0].content)
    assert (body.pop("webhook"), body.pop("priority"), body.pop("start_within"), body.pop("prompt_syntax")) == (
        {"url": "https://example.com/told"},
        "high",
        60,
        "text",
    )
    assert EditSpec.model_validate(body) == spec


def test_whoever_is_busy_is_asked_again_when_it_says(call):
    busy = problem(429, "rate_limited", retry_after="0")
    service = Answering(busy, problem(503, "queue_full", retry_after="0"), edit())

    assert call(service, "submit", SPEC).id == JOB
    assert len(service.asked) == 3


def test_whoever_is_busy_for_longer_than_one_is_patient_is_not_waited_for(call):
    service = Answering(problem(429, "rate_limited", retry_after="3600"))

    with pytest.raises(TooBusy) as raised:
        call(service, "submit", SPEC)

    assert (raised.value.code, raised.value.retry_after, len(service.asked)) == ("rate_limited", 3600, 1)


def test_a_proxys_answer_is_asked_past_and_a_fault_is_not(call):
    service = Answering(httpx.Response(502, text="<html>"), edit("running"))
    assert call(service, "get", JOB).status == "running"

    fault = Answering(problem(500, "internal_error"))
    with pytest.raises(ServiceFault):
        call(fault, "get", JOB)
    assert len(fault.asked) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthenticated", NotAllowed),
        (404, "job_not_found", NotFound),
        (409, "still_active", Conflict),
        (413, "body_too_large", Refused),
    ],
)
def test_a_refusal_is_told_at_once_by_who_is_at_fault(call, status, code, kind):
    service = Answering(problem(status, code))

    with pytest.raises(kind, match=f"{status} {code}: why it is {code}") as raised:
        call(service, "get", JOB)

    assert (type(raised.value), raised.value.code, len(service.asked)) == (kind, code, 1)


def test_a_refusal_points_at_the_fields(call):
    field = {"pointer": "/targets/0/edits/0", "code": "word_counts_differ", "detail": "use refine"}
    service = Answering(problem(422, "invalid_request", errors=[field]))

    with pytest.raises(Refused, match="/targets/0/edits/0: use refine") as raised:
        call(service, "submit", SPEC)

    assert [vars(each) for each in raised.value.errors] == [field]


def test_what_cannot_be_sent_twice_is_not(call, tmp_path):
    for method, *args in (("upload", b"a picture"), ("erase", JOB)):
        service = Answering(LOST)
        with pytest.raises(Unreachable):
            call(service, method, *args)
        assert len(service.asked) == 1


def test_what_was_never_sent_is_sent_again(call, tmp_path):
    image = {"id": "img_1", "width": 4, "height": 4, "digest": "", "format": "png", "bytes": 9, "links": {}}
    image |= {"created_at": "2026-01-31T12:00:00Z", "expires_at": "2026-01-31T12:00:00Z", "url": "http://there"}
    (tmp_path / "cat.png").write_bytes(b"a picture")
    service = Answering(httpx.ConnectError("refused"), httpx.Response(201, json=image))

    assert call(service, "upload", tmp_path / "cat.png").id == "img_1"
    assert b'name="image"; filename="cat.png"' in service.asked[1].content
    assert b"a picture" in service.asked[1].content


def test_whoever_cannot_be_reached_is_given_up(call):
    service = Answering(httpx.ConnectError("refused"))

    # Pauses are a tenth of a second here: time enough for more than two on any machine.
    with pytest.raises(Unreachable, match=f"no answer from {URL}/v1/models: refused"):
        call(service, "models", patience=5)

    assert len(service.asked) > 2


def test_a_redirect_is_told_and_not_followed(call):
    service = Answering(httpx.Response(301, headers={"Location": "https://elsewhere.test/"}), edit())

    with pytest.raises(BadAnswer, match=r"leads to https://elsewhere\.test/"):
        call(service, "get", JOB, key="p2p_secret")

    assert len(service.asked) == 1


def test_what_another_server_answers_is_no_edit(call):
    with pytest.raises(BadAnswer, match="did not answer as this service does"):
        call(Answering(httpx.Response(200, text="hello")), "get", JOB)


def test_the_key_goes_with_every_call(call):
    service = Answering(edit())

    call(service, "get", JOB, key="p2p_secret")

    assert service.asked[0].headers["Authorization"] == "Bearer p2p_secret"


def test_a_listing_goes_from_page_to_page(call):
    one, two = edit("succeeded").json() | {"id": "one"}, edit("succeeded").json() | {"id": "two"}
    pages = [httpx.Response(200, json={"edits": [each], "cursor": c}) for each, c in ((one, "next"), (two, None))]
    service = Answering(*pages)

    assert [each.id for each in call(service, "list", status="succeeded")] == ["one", "two"]
    assert dict(service.asked[1].url.params) == {"limit": "100", "status": "succeeded", "cursor": "next"}

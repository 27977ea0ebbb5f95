"""Events come as they are sent, each once, over as many connections as it takes."""

import asyncio
from contextlib import aclosing

import httpx
import pytest

from p2p_client import AsyncClient, Client, NotFound
from tests.unit.client.answering import JOB, URL, Answering, edit, problem, sent, stream

LOST = httpx.RemoteProtocolError("peer closed connection without sending complete message body")


def names(events) -> list[str]:
    return [event.name for event in events]


def test_events_are_told_until_the_edit_has_ended(call):
    progress = sent(3, "progress", step=2, steps=5)
    service = Answering(
        stream(sent(1, "queued", status="queued"), sent(2, "started", status="running"), progress, sent(4, "succeeded"))
    )

    events = call(service, "events", JOB)

    assert names(events) == ["queued", "started", "progress", "succeeded"]
    assert (events[2].step, events[2].steps, events[1].status, events[-1].is_end) == (2, 5, "running", True)
    assert "Last-Event-ID" not in service.asked[0].headers


def test_after_a_lost_connection_they_go_on_where_it_broke_off(call):
    service = Answering(
        stream(sent(1, "queued"), sent(2, "started"), sent(3, "progress", step=1, steps=2)[:20], LOST),
        httpx.ConnectError("refused"),
        stream(sent(3, "progress", step=1, steps=2), sent(4, "succeeded")),
    )

    assert names(call(service, "events", JOB)) == ["queued", "started", "progress", "succeeded"]
    assert [request.headers.get("Last-Event-ID") for request in service.asked] == [None, "2-0", "2-0"]


def test_a_stream_that_the_service_closed_is_taken_up_again(call):
    """It closes each after ten minutes, and says nothing in the next one while nothing happens."""
    service = Answering(stream(sent(1, "queued")), stream(b": ping\n\n"), edit("queued"), stream(sent(2, "canceled")))

    assert names(call(service, "events", JOB)) == ["queued", "canceled"]
    assert service.asked[2].url.path == f"/v1/edits/{JOB}"


def test_whoever_has_seen_the_end_is_told_nothing_more(call):
    service = Answering(stream(), edit("succeeded"))

    assert call(service, "events", JOB, after="9-0") == []
    assert service.asked[0].headers["Last-Event-ID"] == "9-0"


def test_events_are_read_however_they_are_cut(call):
    whole = (
        b": ping\n\n" + sent(1, "queued", status="queued").replace(b"\n", b"\r\n") + sent(2, "failed", status="failed")
    )

    for size in (1, 2, 7):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert names(call(Answering(stream(*pieces)), "events", JOB)) == ["queued", "failed"]


def test_the_events_of_what_is_not_there_are_refused_with_what_it_says(call):
    with pytest.raises(NotFound, match="job_not_found"):
        call(Answering(problem(404, "job_not_found")), "events", JOB)


def test_whoever_leaves_closes_the_connection():
    first, second = (stream(sent(1, "queued"), sent(2, "started")) for _ in range(2))

    with httpx.Client(transport=Answering(first)) as http:
        events = Client(URL, http=http).events(JOB)
        next(events)
        events.close()

    async def left() -> None:
        async with (
            httpx.AsyncClient(transport=Answering(second)) as http,
            aclosing(AsyncClient(URL, http=http).events(JOB)) as events,
        ):
            await anext(events)

    asyncio.run(left())
    assert first.stream.closed
    assert second.stream.closed

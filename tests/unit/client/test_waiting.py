"""An edit is waited for by the service, not polled."""

from contextlib import suppress

import pytest

from p2p_client import JobFailed, NotEnded
from p2p_client.asking import Api
from p2p_client.effects import Pause
from p2p_client.operations import LONG_POLL, wait
from tests.unit.client.answering import JOB, URL, Answering, edit


def test_an_edit_is_waited_for_until_it_has_succeeded(call):
    service = Answering(edit("queued"), edit("running"), edit("succeeded"))

    assert call(service, "wait", JOB).status == "succeeded"
    assert {request.url.params["wait"] for request in service.asked} == {str(LONG_POLL)}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"status": "failed", "error": {"code": "moderated", "message": "no knives here"}}, "moderated"),
        ({"status": "canceled"}, "canceled"),
        ({"status": "expired"}, "expired"),
    ],
)
def test_an_end_that_is_no_success_is_raised_with_its_code(call, fields, code):
    with pytest.raises(JobFailed) as raised:
        call(Answering(edit(**fields)), "wait", JOB)

    assert (raised.value.code, raised.value.edit.status) == (code, fields["status"])


def test_whoever_waits_no_longer_is_told_how_it_stands(call):
    with pytest.raises(NotEnded, match="is running after 0 s") as raised:
        call(Answering(edit("running")), "wait", JOB, timeout=0)

    assert isinstance(raised.value, TimeoutError)
    assert raised.value.edit.status == "running"


def test_a_service_that_does_not_wait_is_not_asked_again_and_again():
    """What is in between may answer from a cache."""
    now, asked = 0.0, []
    operation = wait(Api(base_url=URL, clock=lambda: now), JOB, timeout=10)

    effect = next(operation)
    with suppress(NotEnded):
        while True:
            answer = None
            if isinstance(effect, Pause):
                now += effect.seconds
            else:
                asked.append(effect.arguments["params"]["wait"])
                answer = edit("running")
            effect = operation.send(answer)

    # Once a second, each time for what is left of the ten.
    assert asked == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]

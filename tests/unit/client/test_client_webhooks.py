"""A webhook's message is believed only as it was signed."""

import time

import pytest

from p2p_client.webhooks import NotVerified, verify
from webhooks.signature import new_secret, signed

SECRET = new_secret()
BODY = (
    b'{"type":"edit.failed","timestamp":"2026-01-31T12:00:00Z","data":{"id":"0f1e","status":"failed",'
    b'"links":{"self":"/v1/edits/0f1e"},"error":{"code":"out_of_memory"}}}'
)


def headers(body: bytes = BODY, *, second: float | None = None, secrets: tuple[str, ...] = (SECRET,)) -> dict[str, str]:
    return dict(signed("0f1e-failed", int(second or time.time()), body, secrets))


def test_what_the_service_signs_is_its_message():
    message = verify(headers(), BODY, SECRET)

    assert (message.id, message.type, message.data.id) == ("0f1e-failed", "edit.failed", "0f1e")
    assert message.data.error == {"code": "out_of_memory"}


def test_a_batchs_message_says_how_each_edit_ended():
    body = (
        b'{"type":"batch.ended","timestamp":"2026-01-31T12:00:00Z","data":{"id":"c3d2","counts":{"succeeded":1},'
        b'"edits":[{"id":"0f1e","status":"succeeded","links":{"self":"/v1/edits/0f1e"}}],"links":{}}}'
    )

    assert verify(headers(body), body, SECRET).data.edits[0].id == "0f1e"


def test_while_secrets_change_either_will_do():
    old = new_secret()

    assert verify(headers(secrets=(old, SECRET)), BODY, SECRET)
    assert verify(headers(), BODY, [old, SECRET])
    assert verify({name.title(): text for name, text in headers().items()}, BODY, SECRET)


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (headers(secrets=(new_secret(),)), BODY),
        (headers(secrets=()), BODY),
        (headers(), BODY.replace(b"0f1e", b"0f1f")),
        (headers(second=time.time() - 3600), BODY),
        (headers() | {"webhook-id": "another"}, BODY),
        (headers() | {"webhook-signature": "rubbish"}, BODY),
        (headers() | {"webhook-signature": "v1,?"}, BODY),
        (headers() | {"webhook-timestamp": "now"}, BODY),
        (headers(), b"\xff\xfe"),
        (headers(b"[1]"), b"[1]"),
        ({}, b""),
    ],
)
def test_anything_else_is_no_message(given, body):
    with pytest.raises(NotVerified):
        verify(given, body, SECRET)


def test_without_a_secret_nothing_is_believed():
    with pytest.raises(NotVerified, match="there is no secret"):
        verify(headers(), BODY, [])

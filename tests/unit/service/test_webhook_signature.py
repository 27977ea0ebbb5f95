"""What is signed here is verified by the specification's own package."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from webhooks.signature import InvalidSecret, key_of, new_secret, signed

BODY = '{"type":"edit.succeeded","data":{"id":"ä"}}'.encode()


def verified(secret: str, headers, body: bytes = BODY) -> dict:
    return Webhook(secret).verify(body, dict(headers))


@given(st.text(max_size=200))
def test_the_official_package_verifies_a_signature_over_the_very_bytes(text):
    secret, body = new_secret(), json.dumps({"text": text}, ensure_ascii=False).encode("utf-8", "replace")

    assert verified(secret, signed("job-succeeded", int(time.time()), body, [secret]), body) == json.loads(body)


def test_a_message_says_its_id_and_its_second():
    headers = signed("job-failed", 1_700_000_000, BODY, [])

    assert headers == {"webhook-id": "job-failed", "webhook-timestamp": "1700000000"}


def test_the_signature_is_the_specifications_example():
    """The vector in the packages' own tests: made by somebody else's code."""
    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_of_several_secrets_verifies_while_receivers_change_over():
    old, new = new_secret(), new_secret()
    headers = signed("job-succeeded", int(time.time()), BODY, [new, old])

    assert verified(old, headers) == verified(new, headers)
    with pytest.raises(WebhookVerificationError):
        verified(new_secret(), headers)


@pytest.mark.parametrize("change", ["body", "webhook-id", "webhook-timestamp"])
def test_whatever_is_changed_on_the_way_is_noticed(change):
    secret, now = new_secret(), int(time.time())
    headers, body = dict(signed("job-succeeded", now, BODY, [secret])), BODY
    if change == "body":
        body = BODY.replace(b"succeeded", b"failed")
    else:
        headers[change] = {"webhook-id": "other-succeeded", "webhook-timestamp": str(now + 1)}[change]

    with pytest.raises(WebhookVerificationError):
        verified(secret, headers, body)


def test_a_new_secret_is_one_and_no_other_like_it():
    assert len(key_of(new_secret())) == 32
    assert new_secret() != new_secret()


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_!!!", "hush", "whsec_" + "QUJD" * 4, "whsec_" + "QUJD" * 30, "QUJD" * 8]
)
def test_what_is_no_secret_is_refused_and_not_repeated(text):
    with pytest.raises(InvalidSecret) as caught:
        key_of(text)

    assert not text.removeprefix("whsec_") or text not in str(caught.value)

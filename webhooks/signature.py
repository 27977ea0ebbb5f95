"""Secrets and signatures of messages, by Standard Webhooks 1.0; its own library signs.

A message is signed with every secret at once, so that a receiver may change from one to the next at any time.
"""

import base64
import binascii
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"
#: Bytes of a secret that the specification allows, and of those made here.
SIZES, SIZE = range(24, 65), 32


class InvalidSecret(ValueError):
    """A text that is no secret; it is not repeated."""

    def __init__(self) -> None:
        super().__init__(
            f"a secret is {PREFIX} and {SIZES.start} to {SIZES.stop - 1} random bytes in base64: "
            "`python -m admin secret` makes one"
        )


def new_secret() -> str:
    """A secret that nobody knows."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SIZE)).decode()


def key_of(secret: str) -> bytes:
    """The key that a secret holds.

    Raises:
        InvalidSecret: it has another form.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise InvalidSecret from error
    if not secret.startswith(PREFIX) or len(key) not in SIZES:
        raise InvalidSecret
    return key


def signed(webhook_id: str, second: int, body: bytes, with_secrets: Sequence[str]) -> Mapping[str, str]:
    """The headers of one attempt.

    Args:
        webhook_id: the message's, the same in every attempt; holds no full stop, which separates what is signed.
        second: of the attempt, since 1970.
        body: as it is sent, in UTF-8.
        with_secrets: one signature each; none leaves the message unsigned.
    """
    at, text = datetime.fromtimestamp(second, UTC), body.decode()
    signatures = " ".join(Webhook(key_of(secret)).sign(webhook_id, at, text) for secret in with_secrets)
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(second)}
    return {**headers, "webhook-signature": signatures} if signatures else headers

"""Webhooks, verified: that a message is the service's, is whole, and is no older than five minutes.

By `standardwebhooks`, the specification's own package, which has no dependencies: verifying is no place for code of
our own. What it leaves open is closed here: a header or body of another form than it expects escapes it as a
`ValueError`, with which a receiver would answer 500 to rubbish.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from p2p_client.errors import ClientError
from p2p_client.results import Result, Status, Usage


class NotVerified(ClientError):
    """What came is not a message of the service's: answer 401."""


class Ended(Result):
    """The edit that has ended, or the batch.

    Attributes:
        status: of an edit; None of a batch.
        error: of a failed edit: its `code`.
        usage: of an edit that a worker has done a step of: what it used.
        counts: of a batch: how many of its edits came to each end.
        edits: of a batch, in the order in which they were posted.
    """

    id: str
    status: Status | None = None
    links: Mapping[str, str]
    error: Mapping[str, str] | None = None
    usage: Usage | None = None
    counts: Mapping[Status, int] | None = None
    edits: tuple["Ended", ...] = ()


class Message(Result):
    """A webhook's message.

    Attributes:
        id: the same in every attempt: what a repetition is known by.
        type: "edit.succeeded", "edit.failed", "edit.canceled", "edit.expired" or "batch.ended".
        timestamp: when it ended.
    """

    id: str
    type: str
    timestamp: datetime
    data: Ended


def verify(headers: Mapping[str, str], body: bytes, secret: str | Sequence[str]) -> Message:
    """The message that came, once its signature is found to be good.

    Args:
        headers: of the request, whatever their case.
        body: its bytes as they came, never JSON that was written anew.
        secret: `whsec_...`, or several, of which one must fit.
    Raises:
        NotVerified: it is not signed with any of the secrets, was changed on the way, or is too old.
        ValueError: a secret is none.
    """
    named = {name.lower(): text for name, text in headers.items()}
    keys = [Webhook(each) for each in ([secret] if isinstance(secret, str) else secret)]
    for key in keys:
        try:
            key.verify(body, named, json_parse=False)
        except (WebhookVerificationError, ValueError) as error:
            reason: Any = error
            continue
        break
    else:
        raise NotVerified(f"no message of the service's: {reason if keys else 'there is no secret'}")
    try:
        return Message.model_validate({**json.loads(body), "id": named["webhook-id"]})
    except (ValueError, TypeError) as error:
        raise NotVerified(f"signed, and no message that this client knows: {error}") from error

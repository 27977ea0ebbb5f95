"""Which secrets sign a message: those of the key whose edit it is about, else the installation's own.

A key's secrets are kept in Redis as they are, for a signature needs them whole: who reads this Redis can sign. To
rotate is to put a new one in front; the others go on signing side by side with it until their time is over, so that
receivers change over when they like. Like the keys themselves they are configuration and have no end.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import redis
from cachetools import TTLCache
from pydantic import TypeAdapter

from jobs.model import Record
from webhooks.messages import Message
from webhooks.signature import new_secret

#: A hash: a key's id -> its secrets, the newest first, as JSON.
SECRETS = "webhooksecrets"
#: Seconds for which a sender takes a key's secrets for what they last were.
TRUSTED = 5.0
#: Keys whose secrets a sender remembers.
MOST_KNOWN = 10_000

#: What signs a message; without any it is unsigned. It may block: it is called in a thread.
SecretsOf = Callable[[Message], Sequence[str]]


class KeySecret(Record):
    """A secret of a key.

    Attributes:
        ends_at: from when on it signs no more; None for the newest.
    """

    secret: str
    made_at: datetime
    ends_at: datetime | None = None

    def signs(self, now: datetime) -> bool:
        """Whether it still signs."""
        return self.ends_at is None or now < self.ends_at


_LIST = TypeAdapter(tuple[KeySecret, ...])


class SecretRing:
    """The secrets as an operator works with them, over a blocking client made with `decode_responses=True`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def of(self, key_id: str) -> Sequence[KeySecret]:
        """A key's secrets that still sign, the newest first; none if the installation's own are used."""
        return _signing(cast(str | None, self._client.hget(SECRETS, key_id)))

    def all(self) -> Mapping[str, Sequence[KeySecret]]:
        """Those of every key that has some."""
        found = cast(Mapping[str, str], self._client.hgetall(SECRETS))
        return {key_id: _signing(text) for key_id, text in sorted(found.items())}

    def rotate(self, key_id: str, overlap: timedelta) -> str:
        """A new secret for a key, which nobody will see again; those before it sign for so long yet, at most."""
        now = datetime.now(UTC)
        made = KeySecret(secret=new_secret(), made_at=now)
        with self._client.pipeline() as commands:
            commands.watch(SECRETS)
            before = _signing(cast(str | None, commands.hget(SECRETS, key_id)))
            ends_at = now + overlap
            kept = [
                old.model_copy(update={"ends_at": min(old.ends_at or ends_at, ends_at)}) for old in before if overlap
            ]
            commands.multi()
            commands.hset(SECRETS, key_id, _LIST.dump_json((made, *kept)).decode())
            try:
                commands.execute()
            except redis.WatchError:  # somebody did the same at the same time
                return self.rotate(key_id, overlap)
        return made.secret

    def drop(self, key_id: str) -> bool:
        """The installation's own sign for the key again, at once; whether it had any."""
        return bool(self._client.hdel(SECRETS, key_id))


class Signing:
    """`SecretsOf` over the secrets of the keys and those of the installation.

    What goes to the installation's own address is signed with the installation's own: a key's are between the service
    and the key's holder.
    """

    def __init__(
        self, ring: SecretRing, installation: Sequence[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ring, self._installation, self._lock = ring, installation, threading.Lock()
        self._known: TTLCache[str, Sequence[str]] = TTLCache(MOST_KNOWN, TRUSTED, timer=clock)

    def __call__(self, message: Message) -> Sequence[str]:
        if message.url is None:
            return self._installation
        return self._of(message.owner) or self._installation

    def _of(self, owner: str) -> Sequence[str]:
        # Senders ask from threads, and the cache knows of none: two of them may ask the ring for the same key.
        with self._lock:
            known = self._known.get(owner)
        if known is None:
            known = [each.secret for each in self._ring.of(owner)]
            with self._lock:
                self._known[owner] = known
        return known


def _signing(text: str | None) -> Sequence[KeySecret]:
    now = datetime.now(UTC)
    return [each for each in _LIST.validate_json(text or "[]") if each.signs(now)]

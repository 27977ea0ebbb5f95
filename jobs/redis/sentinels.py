"""The Sentinels of a REDIS_URL, which know which server is the primary now.

They are asked whenever a connection is opened, and by connections that are closed again at once: a thousand workers
that kept theirs would fill a Sentinel.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)

Address = tuple[str, int]
#: Seconds in which a Sentinel must answer; then the next one is asked.
_HOW: dict[str, Any] = {
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
    "decode_responses": True,
    "retry": Retry(NoBackoff(), 0),
}


class PrimaryUnknown(redis.ConnectionError):
    """No Sentinel names a primary that is up. It passes: a failover takes some seconds."""


class Sentinels:
    """The Sentinels that watch one primary.

    Attributes:
        addresses: theirs; the one that answered last comes first.
        how: what the connections to them are made with, credentials and TLS (`ssl`) included.
    """

    def __init__(self, addresses: Sequence[Address], name: str, how: Mapping[str, Any]) -> None:
        self.addresses, self.how = tuple(addresses), how
        self._name = name

    def primary(self) -> Address:
        """Host and port of the server that takes writes now.

        Raises:
            PrimaryUnknown: they do not agree on one yet, or none answers; its cause is what one of them answered.
        """
        met: list[tuple[Address, redis.RedisError]] = []
        for address in self.addresses:
            try:
                found = self._asked(address)
            except redis.RedisError as error:
                met.append((address, error))
                continue
            # Of threads that change it at the same time one wins, and either is right.
            self.addresses = (address, *(each for each in self.addresses if each != address))
            return found
        told = "; ".join(f"{host}:{port}: {error}" for (host, port), error in met)
        # One that is away may know what the others do not: only where all of them refuse is that an answer.
        errors = sorted((error for _, error in met), key=_is_answer)
        raise PrimaryUnknown(f"no Sentinel names a primary {self._name!r} that is up: {told}") from errors[0]

    def _asked(self, address: Address) -> Address:
        with redis.Redis(host=address[0], port=address[1], **self.how, **_HOW) as sentinel:
            state = cast(Mapping[str, Any], sentinel.execute_command("SENTINEL MASTER", self._name))
        if state["is_sdown"] or state["is_odown"] or not state["is_master"]:
            raise redis.ConnectionError(
                f"the primary {state['ip']}:{state['port']} is down, and no other one is chosen"
            )
        return state["ip"], state["port"]


def _is_answer(error: redis.RedisError) -> bool:
    """Whether a Sentinel answered, and answers the same later: wrong credentials, a name that it does not know."""
    return isinstance(error, redis.AuthenticationError | redis.ResponseError)

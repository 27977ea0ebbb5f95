"""Tells a REDIS_URL that can never work from a Redis that is not reachable yet, by what the first connection met.

redis-py raises its `ConnectionError` for both: for wrong credentials and failed certificates as for a refused
connection. Waiting mends the second kind alone.
"""

import re
import socket
import ssl
from collections.abc import Iterator

import redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    InvalidResponse,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from jobs.redis.sentinels import Address, Sentinels
from jobs.redis.wires import NoPrimary

#: By the error, the first that fits: what to do about it.
_MENDED_BY: tuple[tuple[type[Exception], str], ...] = (
    (
        AuthenticationError,
        "give the user and password that it knows: redis://USER:PASSWORD@HOST, redis://:PASSWORD@HOST for a password "
        "alone; write %2F, %3A, %40 and %23 for / : @ and # in them",
    ),
    (AuthorizationError, "give a user that may do so"),
    (NoPermissionError, "give that user all keys, channels and commands (ACL SETUSER NAME ~* &* +@all), or another"),
    (InvalidResponse, "give the host and port of a Redis; rediss:// where it speaks TLS"),
    (ssl.SSLCertVerificationError, "give ?ssl_ca_certs=FILE, the authority of its certificate, and the host it names"),
    (ssl.SSLError, "correct the ssl_ options; give redis:// where it does not speak TLS"),
)
#: The same, by words of what a server answers.
_MENDED_BY_WORDS: tuple[tuple[str, str], ...] = (
    (r"(?i)\bNo such master\b", "give the name that the Sentinels give their primary, in sentinel.conf"),
    (r"(?i)\bunknown command '?SENTINEL\b", "it is no Sentinel; give the port of one, or redis:// for a single server"),
)
_DATABASE = "give a database that it has: /0 to /15, unless its setting `databases` says otherwise"
_ANY_OTHER = "correct REDIS_URL, or the settings of that Redis"
#: A server that closes while it is spoken to may be restarting, and one that takes no writes may be the primary soon:
#: these are outages.
_CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError, NoPrimary)
#: Seconds that a server has to show which protocol it speaks.
_LOOK = 2.0


def refusal(error: RedisError, client: redis.Redis) -> str | None:
    """What the server answered and what to do; None if it may work later.

    Args:
        client: the one that met `error`; its server is asked which protocol it speaks where the error does not say.
    """
    for cause in _causes(error):
        if isinstance(cause, _CUT_OFF):
            break
        if isinstance(cause, ResponseError) and re.search(r"(?i)\bDB index\b|\bSELECT\b", str(cause)):
            return f"it answers: {_line(cause)}; {_DATABASE}"
        for words, mended_by in _MENDED_BY_WORDS:
            if isinstance(cause, ResponseError) and re.search(words, str(cause)):
                return f"it answers: {_line(cause)}; {mended_by}"
        for kind, mended_by in _MENDED_BY:
            if isinstance(cause, kind):
                return f"it answers: {_line(cause)}; {mended_by}"
        if isinstance(cause, ResponseError):
            return f"it answers: {_line(cause)}; {_ANY_OTHER}"
    # With a status it is an answer of Redis that passes: it loads its data, or has all the clients that it may have.
    return None if error.status_code else _other_protocol(client)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _other_protocol(client: redis.Redis) -> str | None:
    """A server of plain Redis lets a TLS handshake time out, and one of TLS just closes: they are asked the other way.

    Neither way sends a password.
    """
    where = client.connection_pool.connection_kwargs
    over_tls = issubclass(client.connection_pool.connection_class, redis.SSLConnection)
    if "path" in where:
        return None
    if "sentinels" not in where:
        said = _other_at((where.get("host", "localhost"), where.get("port", 6379)), over_tls)
        return said and f"{said}; give {'redis' if over_tls else 'rediss'}://"
    sentinels: Sentinels = where["sentinels"]
    is_tls = "ssl" in sentinels.how
    for address in sentinels.addresses:
        if said := _other_at(address, is_tls):
            return f"the Sentinel {address[0]}:{address[1]}: {said}; give ?sentinel_tls={'false' if is_tls else 'true'}"
    try:
        said = _other_at(sentinels.primary(), over_tls)
    except redis.RedisError:
        return None
    return said and f"the primary: {said}; give {'redis' if over_tls else 'rediss'}+sentinel://"


def _other_at(address: Address, over_tls: bool) -> str | None:
    """Whether a server speaks the other way than it is spoken to."""
    try:
        with socket.create_connection(address, _LOOK) as wire:
            wire.settimeout(_LOOK)
            if over_tls:
                wire.sendall(b"PING\r\n")
                if re.match(rb"\+PONG|-[A-Z]+ ", wire.recv(64)):
                    return "it speaks Redis without TLS"
            else:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                with context.wrap_socket(wire, server_hostname=address[0]):
                    return "it speaks TLS"
    except (OSError, ValueError):
        pass
    return None

"""Asks an identity provider for its keys, and reads them: bounded in time, bytes and keys.

The address is the operator's, and may be one within the plane; the answer may be anybody's. No redirect is followed.
Nothing is decompressed, which could make much of little.
"""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import httpx
from anyio import to_thread
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from process.addresses import client_to
from service.identity.algorithms import ALGORITHMS
from service.identity.key_set import Keys, NoKeySet

#: Seconds in all, from the look-up of the name to the last byte.
SECONDS = 5.0
#: Bytes of a set. Entra's has 30,000, with certificates.
MOST_BYTES = 262_144
#: Keys of a set.
MOST_KEYS = 100
#: Characters of a key's name.
MOST_OF_KID = 256
#: Bytes of an RSA modulus: 2,048 bits are the least that RFC 7518 allows. A check takes time with its cube.
RSA_BYTES = range(256, 1_025)
#: Bytes of an RSA exponent; nearly all are 65537. A check takes time with its length.
MOST_OF_EXPONENT = 4


def fetched_from(
    url: str, transport: httpx.AsyncBaseTransport, algorithms: Collection[str]
) -> Callable[[], Awaitable[Keys]]:
    """Asks for the keys at a URL, as `KeySet` needs it."""

    async def fetch() -> Keys:
        try:
            async with asyncio.timeout(SECONDS):
                body = await _body(url, transport)
        except TimeoutError as error:
            raise NoKeySet(f"no whole answer within {SECONDS:g} s") from error
        except httpx.HTTPError as error:
            raise NoKeySet(str(error) or type(error).__name__) from error
        # 256 kB of JSON take some milliseconds.
        return await to_thread.run_sync(keys_in, body, algorithms)

    return fetch


async def _body(url: str, transport: httpx.AsyncBaseTransport) -> bytes:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    parts, length = [], 0
    # The client is not closed: that would close the transport, which is the caller's.
    async with client_to(transport, timeout=SECONDS).stream("GET", url, headers=headers) as response:
        if response.status_code != httpx.codes.OK:
            raise NoKeySet(f"the answer has status {response.status_code}, and 200 is needed")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise NoKeySet("the answer is compressed, and only one that is not is read")
        async for part in response.aiter_raw():
            length += len(part)
            if length > MOST_BYTES:
                raise NoKeySet(f"the answer has more than {MOST_BYTES} bytes")
            parts.append(part)
    return b"".join(parts)


def keys_in(body: bytes, algorithms: Collection[str]) -> Keys:
    """The keys of a set that sign with one of these algorithms; what is of another use or kind is passed over.

    Raises:
        NoKeySet: it is none that is read.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoKeySet("the answer is no JSON") from error
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise NoKeySet("the answer is no JWKS: it has no list `keys` of objects")
    if len(listed) > MOST_KEYS:
        raise NoKeySet(f"the set has {len(listed)} keys, and at most {MOST_KEYS} are read")
    keys: dict[tuple[str, str], PyJWK] = {}
    for each in listed:
        kid = each.get("kid")
        if not isinstance(kid, str) or not 0 < len(kid) <= MOST_OF_KID or not _is_to_sign(each):
            continue
        for algorithm in algorithms:
            # Of two keys of one name the first one counts.
            if _fits(each, algorithm) and (kid, algorithm) not in keys and (key := _key(each, algorithm)) is not None:
                keys[kid, algorithm] = key
    return keys


def _is_to_sign(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _fits(jwk: Mapping[str, Any], algorithm: str) -> bool:
    kind, curve = ALGORITHMS[algorithm]
    if jwk.get("kty") != kind or jwk.get("alg", algorithm) != algorithm:
        return False
    if curve is not None:
        return jwk.get("crv") == curve
    return _length(jwk.get("n")) in RSA_BYTES and 0 < _length(jwk.get("e")) <= MOST_OF_EXPONENT


def _length(text: object) -> int:
    """Bytes of a number as a JWK writes it; 0 where it is none."""
    try:
        return len(urlsafe_b64decode(text + "=" * (-len(text) % 4)).lstrip(b"\0")) if isinstance(text, str) else 0
    except ValueError:
        return 0


def _key(jwk: Mapping[str, Any], algorithm: str) -> PyJWK | None:
    # Without its private part, which a provider that publishes it by mistake must not have here as well.
    public = {name: value for name, value in jwk.items() if name in {"kty", "crv", "n", "e", "x", "y"}}
    try:
        return PyJWK(public, algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None

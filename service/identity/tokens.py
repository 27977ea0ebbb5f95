"""Tokens of an identity provider: `Callers` of whom a genuine one names.

In this order, so that what costs anything comes last: the form of the text, the form of its header, the key that it
names, the signature, the claims. Nothing that a token says is used before its signature was checked, but which key it
names: no `jku`, `x5u` or `jwk` of a header is looked at.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jwt
from jwt import PyJWK

from process.token_form import bearer_of, has_form, header_said
from service.api_keys import Caller, Callers
from service.http.errors import InvalidToken, Unauthenticated
from service.identity.claims import Claims
from service.identity.fetching import MOST_OF_KID
from service.identity.key_set import KeySet

#: Seconds by which the clocks of provider and service may differ.
LEEWAY = 30
#: Characters of a subject. OpenID Connect has 255 (Core, 2).
MOST_OF_SUBJECT = 255

#: What is said of a token that was refused, by what refused it. A client that reads it has a signature of the
#: issuer's: a forged token learns nothing.
_REFUSALS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "it is over: fetch a new one",
    jwt.ImmatureSignatureError: "it is not good yet: look at the clocks",
    jwt.InvalidAudienceError: "it is for another audience: ask the issuer for one for this service",
    jwt.InvalidIssuerError: "another issuer made it",
    jwt.MissingRequiredClaimError: "it lacks one of the claims iss, aud, sub and exp",
}
_GENERAL = "it is none that this installation takes"


class TokenHolders:
    """`Callers` over the tokens of one issuer.

    Args:
        issuer, audience: what a token's `iss` is, and what its `aud` is or holds.
        algorithms: that a token may be signed with.
    """

    def __init__(
        self, keys: KeySet, *, issuer: str, audience: str, algorithms: Collection[str], claims: Claims
    ) -> None:
        self._keys, self._claims = keys, claims
        self._issuer, self._audience, self._algorithms = issuer, audience, frozenset(algorithms)

    async def of(self, authorization: str) -> Caller:
        token = bearer_of(authorization)
        if not has_form(token):
            raise Unauthenticated(sent=bool(authorization))
        header = header_said(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        # "none" and HS256 are among the refused: no algorithm that can be set has a shared secret, or none at all.
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise InvalidToken(f"its `alg` is none of {', '.join(sorted(self._algorithms))}")
        if not isinstance(kid, str) or not 0 < len(kid) <= MOST_OF_KID or "crit" in header:
            raise InvalidToken("its header names no key (`kid`), or has `crit`, which nothing here understands")
        key = await self._keys.find(kid, algorithm)
        if key is None:
            raise InvalidToken(_GENERAL)
        return self._claims.caller(self._genuine(token, key, algorithm))

    def _genuine(self, token: str, key: PyJWK, algorithm: str) -> Mapping[str, Any]:
        """The claims of a token that this key signed; raises `InvalidToken`."""
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY,
                options={"require": ["iss", "aud", "sub", "exp"]},
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            said = next((text for kind, text in _REFUSALS.items() if isinstance(error, kind)), _GENERAL)
            raise InvalidToken(said) from error
        if not 0 < len(claims["sub"]) <= MOST_OF_SUBJECT:
            raise InvalidToken(f"its `sub` is empty or has more than {MOST_OF_SUBJECT} characters")
        return claims


class KeysAndTokens:
    """`Callers` of keys and of tokens: what has the form of a token is one, and nobody who brings one waits for Redis.

    A client with a key does not wait for the identity provider.
    """

    def __init__(self, keys: Callers, tokens: Callers) -> None:
        self._keys, self._tokens = keys, tokens

    async def of(self, authorization: str) -> Caller:
        callers = self._tokens if has_form(bearer_of(authorization)) else self._keys
        return await callers.of(authorization)

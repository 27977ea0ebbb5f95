"""What the claims of a genuine token allow: scopes, limits, models. The names of the claims are settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from process.token_form import owner_of
from service.api_keys import Caller
from service.http.errors import InvalidToken
from service.identity.limits import ClaimedLimits

#: Words of a list of scopes or models that are read.
MOST_WORDS = 256


@dataclass(frozen=True, kw_only=True)
class Claims:
    """Reads claims.

    Attributes:
        scope: the claim's name, of what a token may do.
        models: of the models that it may name; all where it is absent.
        limits: of the limits of its subject.
        usual: limits of tokens whose claim does not name them.
    """

    scope: str = "scope"
    models: str = "p2p_models"
    limits: str = "p2p_limits"
    usual: Mapping[str, Any] = field(default_factory=dict)

    def caller(self, claims: Mapping[str, Any]) -> Caller:
        """Who comes with a genuine token of an issuer and a subject.

        Raises:
            InvalidToken: a claim is not what it must be.
        """
        limits = self._limits(claims.get(self.limits))
        return Caller(
            owner=owner_of(claims["iss"], claims["sub"]),
            limits=limits.of_jobs,
            streams=limits.streams,
            scopes=_words(claims.get(self.scope, ""), self.scope),
            models=None if self.models not in claims else _words(claims[self.models], self.models),
        )

    def _limits(self, claimed: object) -> ClaimedLimits:
        if not isinstance(claimed, Mapping | None):
            raise InvalidToken(f'its claim {self.limits} is no object: have it say {{"per_minute": 60}}')
        try:
            return ClaimedLimits.model_validate({**self.usual, **(claimed or {})})
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise InvalidToken(f"its claim {self.limits} cannot be: {name}: {first['msg']}") from error


def _words(value: object, name: str) -> frozenset[str]:
    """Words of one text with spaces between them (RFC 8693, 4.2), or of a list."""
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > MOST_WORDS or not all(isinstance(word, str) for word in words):
        raise InvalidToken(f"its claim {name} is neither a text of words nor a list of at most {MOST_WORDS}")
    return frozenset(words)

"""Settings of the identity provider whose tokens the API takes beside its own keys."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from process.addresses import checked_url
from service.identity.algorithms import ALGORITHMS
from service.identity.limits import ClaimedLimits


class IdentitySettings(BaseSettings):
    """Issuer, audience and keys: all three, or none of them."""

    jwt_issuer: str = Field(
        "",
        description="Whose tokens (JWT) are taken beside API keys: the `iss` of an identity provider, exactly as its "
        "tokens have it; none are taken if it is empty.",
    )
    jwt_audience: str = Field("", description="What a token's `aud` must be or hold: the name of this service there.")
    jwt_jwks_url: str = Field(
        "",
        validate_default=True,
        description="Where that provider publishes the keys that it signs with (JWKS).",
    )
    jwt_algorithms: str = Field(
        "RS256 PS256 ES256 EdDSA",
        description=f"What tokens may be signed with, separated by spaces: {', '.join(ALGORITHMS)}.",
    )
    jwt_scope_claim: str = Field(
        "scope",
        min_length=1,
        description="The claim that holds a token's scopes: words with spaces between them, or a list of them.",
    )
    jwt_models_claim: str = Field(
        "p2p_models",
        min_length=1,
        description="The claim that holds the models which a token may use, likewise; all where it is absent.",
    )
    jwt_limits_claim: str = Field(
        "p2p_limits",
        min_length=1,
        description="The claim that holds the limits of a token's subject: an object with names of `keys create`, such "
        'as `{"per_minute": 60, "active": 4, "pictures_a_day": 500}`.',
    )
    jwt_limits: str = Field(
        "", description="Limits of subjects whose tokens do not name them in that claim: a JSON object of these names."
    )

    @field_validator("jwt_jwks_url")
    @classmethod
    def _all_or_none(cls, value: str, info: ValidationInfo) -> str:
        given = [bool(info.data.get("jwt_issuer")), bool(info.data.get("jwt_audience")), bool(value)]
        if any(given) and not all(given):
            raise ValueError("JWT_ISSUER, JWT_AUDIENCE and JWT_JWKS_URL are needed together: set all three, or none")
        if value:
            checked_url(value)
        return value

    @field_validator("jwt_algorithms")
    @classmethod
    def _known(cls, value: str) -> str:
        if unknown := set(value.split()) - set(ALGORITHMS):
            raise ValueError(f"{', '.join(sorted(unknown))}: choose of {', '.join(ALGORITHMS)}")
        return value

    @field_validator("jwt_limits")
    @classmethod
    def _limits(cls, value: str) -> str:
        try:
            ClaimedLimits.model_validate_json(value or "{}")
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        return value

    @property
    def algorithms(self) -> Sequence[str]:
        """Each of the algorithms."""
        return self.jwt_algorithms.split()

    @property
    def usual_limits(self) -> Mapping[str, Any]:
        """The limits by their names."""
        return json.loads(self.jwt_limits or "{}")

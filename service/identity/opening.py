"""Opens who may ask: keys alone, or keys and the tokens of an identity provider."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from process.addresses import GuardedTransport
from service.api_keys import Callers
from service.identity.settings import IdentitySettings


@asynccontextmanager
async def callers_of(settings: IdentitySettings, keys: Callers) -> AsyncIterator[Callers]:
    """`Callers` of keys, and of tokens where an issuer is set. The provider is asked when its first token comes."""
    if not settings.jwt_issuer:
        yield keys
        return
    # Only here: an API without an identity provider does without their 9 MB.
    from service.identity.claims import Claims
    from service.identity.fetching import fetched_from
    from service.identity.key_set import KeySet
    from service.identity.tokens import KeysAndTokens, TokenHolders

    # The provider may be within the plane; names are looked up in threads, each for so long (`process.lookups`).
    transport = GuardedTransport(private=True)
    known = KeySet(fetched_from(settings.jwt_jwks_url, transport, settings.algorithms))
    claims = Claims(
        scope=settings.jwt_scope_claim,
        models=settings.jwt_models_claim,
        limits=settings.jwt_limits_claim,
        usual=settings.usual_limits,
    )
    tokens = TokenHolders(
        known,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        algorithms=settings.algorithms,
        claims=claims,
    )
    try:
        yield KeysAndTokens(keys, tokens)
    finally:
        await known.aclose()
        await transport.aclose()

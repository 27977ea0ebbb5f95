"""An identity provider: keys of its own, published over HTTP by a real server, and the tokens that it signs."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.file_server import Answer, FileServer, serving

NAME, AUDIENCE = "https://issuer.example/", "p2p-edit"
JWKS = "/jwks"
#: How a key is made for an algorithm, and how it is published.
KINDS = {
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
    "RS256": (lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), RSAAlgorithm),
    "PS256": (lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), RSAAlgorithm),
}


@dataclass
class Issuer:
    """A provider.

    Attributes:
        keys: private ones, by their names, with their algorithms.
    """

    server: FileServer
    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)

    @property
    def jwks_url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}{JWKS}"

    @property
    def asked(self) -> int:
        """How often its keys were asked for."""
        return len(self.server.asked)

    def rotate(self, *kids: str, algorithm: str = "ES256") -> None:
        """Sign with these keys from now on, and publish no other; those that are not there are made."""
        made = {kid: self.keys.get(kid) or (algorithm, KINDS[algorithm][0]()) for kid in kids}
        self.keys = made
        published = [self.published(kid) for kid in made]
        self.server.answers[JWKS] = Answer(200, json.dumps({"keys": published}).encode())

    def published(self, kid: str) -> dict[str, Any]:
        """A key as it is published."""
        algorithm, key = self.keys[kid]
        return KINDS[algorithm][1].to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig"}

    def token(self, kid: str | None = None, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token for everybody's use; a claim that is None is left out."""
        kid = kid or next(iter(self.keys))
        algorithm, key = self.keys[kid]
        return jwt.encode(said(**claims), key, algorithm=algorithm, headers={"kid": kid, **(header or {})})


def said(**claims: Any) -> dict[str, Any]:
    """The claims of a good token, but for those that are given."""
    now = int(time.time())
    usual = {
        "iss": NAME,
        "aud": AUDIENCE,
        "sub": "somebody",
        "iat": now,
        "exp": now + 600,
        "scope": "edits:read edits:write images",
    }
    return {name: value for name, value in (usual | claims).items() if value is not None}


def part(value: Any) -> str:
    """One part of a token that somebody writes by hand."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@contextmanager
def issuing() -> Iterator[Issuer]:
    """A provider with one key, for as long as the block runs."""
    with serving({}) as server:
        issuer = Issuer(server)
        issuer.rotate("first")
        yield issuer

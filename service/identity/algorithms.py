"""The algorithms that tokens may be signed with."""

from collections.abc import Mapping

#: What each algorithm needs of a key: its type, and its curve if it has one. None with a shared secret is among them:
#: it would have the service keep what others could sign with, and a public key must never be taken for one.
ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}

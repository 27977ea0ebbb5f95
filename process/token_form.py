"""What a JSON Web Token (RFC 7519) looks like, and whose it says it is, before anybody knows whether it is genuine.

The API asks this of each request, and the router before several cells, which has no keys to check a signature with.
"""

import hashlib
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

#: Characters of a token that is read. Entra's with 200 groups have about 6,000.
MOST_CHARACTERS = 8_192
#: Characters of a token's header: `alg`, `kid`, `typ` and a thumbprint take 200.
MOST_OF_HEADER = 1_024
#: Header, claims and signature, each in base64url. A token without a signature has not this form.
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
#: What every owner who comes with a token begins with. Keys' owners are 12 digits of base 16.
OWNER = "jwt_"


def bearer_of(authorization: str) -> str:
    """The token of an Authorization header (RFC 6750, 2.1); "" where it has none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else ""


def has_form(token: str) -> bool:
    """Whether a text may be a token at all."""
    if len(token) > MOST_CHARACTERS or not _FORM.fullmatch(token):
        return False
    return token.index(".") <= MOST_OF_HEADER


def header_said(token: str) -> Mapping[str, Any]:
    """The header of what has the form of a token, as anybody may have written it; empty where it is no JSON object."""
    return _said(token.split(".")[0])


def owner_said(token: str) -> str | None:
    """The owner that a token names, as anybody may have written it; None if it names none."""
    if not has_form(token):
        return None
    claims = _said(token.split(".")[1])
    issuer, subject = claims.get("iss"), claims.get("sub")
    return owner_of(issuer, subject) if isinstance(issuer, str) and isinstance(subject, str) else None


def owner_of(issuer: str, subject: str) -> str:
    """Whose jobs a token makes and sees: one owner for each issuer and subject.

    A digest of both: names of keys in Redis, logs and totals hold it, and a subject may be a person's name.
    """
    # As JSON, so that no issuer ends where another one's subject begins.
    return OWNER + hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()[:32]


def _said(part: str) -> Mapping[str, Any]:
    try:
        found = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):  # no base64, no UTF-8, no JSON, or one that nests very deep
        return {}
    return found if isinstance(found, dict) else {}

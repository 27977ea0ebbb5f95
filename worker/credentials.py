"""C2PA Content Credentials: a signed statement inside a picture's file of what made it and from what.

The setting `CONTENT_CREDENTIALS="chain.pem,key.pem"` names the certificates, the signer's first, and its private key.
In the key's place may stand a signer of the installation's, `package.module:function`: it is called with bytes, and
gives their signature, by a key in a vault or an HSM. The algorithm is the one of the certificate's key.

Everything stays on this machine, unless `TIMESTAMP_URL` names an authority (RFC 3161) that says when each was signed.
A picture's pixels are the same with credentials and without.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from PIL import Image

from jobs.provenance import JOB_ASSERTION, PARENT, SOURCE_TYPES
from p2p.version import VERSION
from worker.encoding import ENCODINGS, encoded
from worker.hooks import function_of

if TYPE_CHECKING:
    import c2pa

#: A thumbnail takes 120 ms and 0.2 to 1.6 MB a picture. Nothing is fetched from a network: what a file names there
#: may be a trap. The file was made by this process, so nothing is read again after signing.
SETTINGS: Mapping[str, Any] = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}


class InvalidCredentials(Exception):
    """The setting names nothing that pictures can be signed with."""

    def __init__(self, reason: object) -> None:
        super().__init__(
            f"CONTENT_CREDENTIALS cannot be used: {reason}; it needs "
            '"chain.pem,key.pem" or "chain.pem,package.module:function"'
        )


class NotSigned(Exception):
    """A picture could not be signed."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What is said of a picture.

    Attributes:
        title: its file's name.
        source_type: IPTC's name of where it comes from.
        job: the id of the job that made it.
        manifest_digest: SHA-256 of the job's manifest, in hex.
        of_photo: whether a photo was edited; otherwise it was made from nothing.
        parent: the archive of that photo's own credentials; None if it had none.
    """

    title: str
    source_type: str
    job: str
    manifest_digest: str
    of_photo: bool = False
    parent: bytes | None = None


class Signing(Protocol):
    """Signs pictures."""

    def signed(self, data: bytes, content_type: str, statement: Statement) -> bytes:
        """A picture's file with its credentials; raises `NotSigned`. Safe to call from several threads."""


class ContentCredentials:
    """`Signing` by the C2PA's own library."""

    def __init__(self, signer: "c2pa.Signer") -> None:
        from c2pa import Context

        self._signer = signer
        self._context = Context.from_dict(dict(SETTINGS))

    def signed(self, data: bytes, content_type: str, statement: Statement) -> bytes:
        from c2pa import Builder, C2paError

        out = io.BytesIO()
        try:
            with Builder.from_json(json.dumps(_said(statement)), context=self._context) as builder:
                if statement.parent is not None:
                    builder.add_ingredient_from_archive(io.BytesIO(statement.parent))
                builder.sign(self._signer, content_type, io.BytesIO(data), out)
        except C2paError as error:
            raise NotSigned(str(error)) from error
        return out.getvalue()


def load_credentials(setting: str, timestamp_url: str = "") -> ContentCredentials | None:
    """What a setting signs with, once it has signed a picture; None if it is empty.

    Raises:
        InvalidCredentials: it cannot sign.
    """
    if not setting:
        return None
    chain_file, comma, by = setting.partition(",")
    if not comma or not chain_file or not by:
        raise InvalidCredentials("it names one thing")
    try:
        chain = Path(chain_file).read_bytes()
        credentials = ContentCredentials(_signer(chain, by, timestamp_url))
        blank = encoded(Image.new("RGB", (8, 8)), ENCODINGS["png"])
        credentials.signed(blank, "image/png", Statement(title="", source_type="", job="", manifest_digest=""))
    except (OSError, ValueError, NotSigned) as error:
        # The library's own words hold no part of a key.
        raise InvalidCredentials(" ".join(str(error).split())) from error
    return credentials


def _signer(chain: bytes, by: str, timestamp_url: str) -> "c2pa.Signer":
    from c2pa import C2paError, C2paSignerInfo, C2paSigningAlg, Signer

    algorithm = _algorithm(chain)
    try:
        if ":" in by:
            named = C2paSigningAlg[algorithm.upper()]
            return Signer.from_callback(_hook(by), named, chain.decode(), timestamp_url or None)
        key = Path(by).read_bytes()
        info = C2paSignerInfo(
            alg=algorithm.encode(), sign_cert=chain, private_key=key, ta_url=timestamp_url.encode() or None
        )
        return Signer.from_info(info)
    except C2paError as error:
        raise InvalidCredentials(error) from error


def _hook(by: str) -> Callable[[bytes], bytes]:
    try:
        return cast(Callable[[bytes], bytes], function_of(by))
    except ValueError as error:
        raise InvalidCredentials(error) from error


def _algorithm(chain: bytes) -> str:
    """The algorithm of the first certificate's key, as C2PA calls it (C2PA 2.2, 13.2.1); raises `ValueError`."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    key = x509.load_pem_x509_certificate(chain).public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}.get(key.curve.name) or _no(key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    return "ps256" if isinstance(key, rsa.RSAPublicKey) else _no(key)


def _no(key: object) -> str:
    raise ValueError(f"the first certificate's key is a {type(key).__name__}, which C2PA does not sign with")


def _said(statement: Statement) -> dict[str, Any]:
    """A statement in C2PA's own JSON."""
    source_type = SOURCE_TYPES + statement.source_type
    actions: Sequence[Mapping[str, Any]] = [{"action": "c2pa.created", "digitalSourceType": source_type}]
    if statement.of_photo:
        actions = [
            {"action": "c2pa.opened", "parameters": {"ingredientIds": [PARENT]}},
            {"action": "c2pa.edited", "digitalSourceType": source_type},
        ]
    job = {"job": statement.job, "manifest": {"alg": "sha256", "digest": statement.manifest_digest}}
    said = {
        "claim_generator_info": [{"name": "p2p-edit-service", "version": VERSION}],
        "title": statement.title,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": JOB_ASSERTION, "data": job},
        ],
    }
    if statement.of_photo and statement.parent is None:
        photo = {"title": "photo", "format": "image/png", "relationship": "parentOf", "label": PARENT}
        return {**said, "ingredients": [photo]}
    return said

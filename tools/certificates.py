"""`python -m tools.certificates FOLDER`: a chain of certificates of one's own, to try Content Credentials with.

It writes `chain.pem`, `key.pem` and `root.pem` into the folder. `CONTENT_CREDENTIALS=FOLDER/chain.pem,FOLDER/key.pem`
signs with it, `TRUST_ANCHORS=FOLDER/root.pem` trusts it; nobody else does. It holds for 30 days.
"""

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Who signs, by the certificate.
SIGNER = "A test installation"


@dataclass(frozen=True)
class Chain:
    """PEM: the signer's certificate and its root's, the signer's key, the root alone."""

    certificates: bytes
    key: bytes
    root: bytes

    def setting(self, folder: Path) -> str:
        """CONTENT_CREDENTIALS that names its files, which are written into a folder."""
        (folder / "chain.pem").write_bytes(self.certificates)
        (folder / "root.pem").write_bytes(self.root)
        key = folder / "key.pem"
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        return f"{folder / 'chain.pem'},{key}"


def made_chain() -> Chain:
    """As C2PA wants it (C2PA 2.2, 14.5): an end-entity certificate with a purpose, by an authority."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("A test root", root_key.public_key(), "A test root", root_key, authority=True)
    leaf = _certificate(SIGNER, key.public_key(), "A test root", root_key, authority=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Chain(_pem(leaf) + _pem(root), private, _pem(root))


def _certificate(
    name: str,
    key: ec.EllipticCurvePublicKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    since = datetime.now(UTC) - timedelta(days=1)
    usage = x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(usage, critical=True)
    )
    if not authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _name(name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def main() -> None:
    """Make a chain and write it."""
    parser = argparse.ArgumentParser(prog="python -m tools.certificates", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    print(f"CONTENT_CREDENTIALS={made_chain().setting(folder)}\nTRUST_ANCHORS={folder / 'root.pem'}")


if __name__ == "__main__":
    main()
